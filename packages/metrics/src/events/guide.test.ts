import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { MESSAGE_REFUSALS } from '@aduana/contracts/messages'
import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import { CloudEvent, INCOMING_TYPES, METRIC_EVENTS } from '@aduana/contracts/metrics/events'
import { ResultManifest } from '@aduana/contracts/metrics/manifest'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { fieldsOf } from '../testing/fields.ts'
import { jsonSchemaOf, METRIC_MESSAGES, PUBLISHED, publishedSchemas, SCHEMAS_FOLDER } from './json-schemas.ts'

const GUIDE = readFileSync(new URL('../../../../docs/guides/metric-events.md', import.meta.url), 'utf8')

/** The text below each heading, without the backticks of the heading. */
const sections = new Map(
  GUIDE.split(/^##+ /m).map((section): [string, string] => {
    const end = section.indexOf('\n')
    return [section.slice(0, end).replaceAll('`', ''), section.slice(end)]
  }),
)

function sectionOf(title: string): string {
  const section = sections.get(title)
  if (section === undefined) throw new Error(`the guide has no section "${title}"`)
  return section
}

function blocks(section: string, language: string): string[] {
  const pattern = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g')
  return [...section.matchAll(pattern)].map(([, text = '']) => text)
}

const examplesOf = (title: string) => blocks(sectionOf(title), 'json')

/** The fields that a table names in its first column, and whether its second says that they are optional. */
function tableOf(section: string): Map<string, boolean> {
  const rows = [...section.matchAll(/^\| `([^`]+)` +\| ([^|]*)\|/gm)]
  return new Map(rows.map(([, field = '', type = '']) => [field, /\boptional\b/.test(type)]))
}

const published = [...PUBLISHED].map(([name, schema]) => ({ name, schema }))
const examples = published.flatMap((one) => examplesOf(one.name).map((text) => ({ ...one, text })))

describe('the guide to events', () => {
  test.each(published)('has an example of $name', ({ name }) => {
    expect(examplesOf(name).length).toBeGreaterThan(0)
  })

  test.each(examples)('shows a $name that our schema accepts unchanged: $text', ({ schema, text }) => {
    expect(schema.parse(JSON.parse(text))).toEqual(JSON.parse(text))
  })

  test.each(examples)('shows a $name that is valid by the published JSON Schema: $text', ({ name, text }) => {
    const ajv = new Ajv2020({ allErrors: true })
    formats.default(ajv)
    const validate = ajv.compile(JSON.parse(readFileSync(new URL(`${name}.json`, SCHEMAS_FOLDER), 'utf8')))
    expect(validate(JSON.parse(text)), ajv.errorsText(validate.errors)).toBe(true)
  })

  const tables = [
    { title: 'The envelope', schema: CloudEvent },
    { title: 'result-manifest', schema: ResultManifest },
    ...Object.entries(METRIC_EVENTS).map(([title, schema]) => ({ title, schema })),
  ]
  test.each(tables)('names every field of "$title", and no other', ({ title, schema }) => {
    expect(tableOf(sectionOf(title))).toEqual(fieldsOf(jsonSchemaOf(title, schema)))
  })

  test('shows how a run succeeds with files, without them, and fails', () => {
    const schema = METRIC_EVENTS['aduana.metric_run.completed']
    const shown = examplesOf('aduana.metric_run.completed').map((text) => schema.parse(JSON.parse(text).data))
    expect(shown.map((event) => [event.status, 'manifest' in event])).toEqual([
      ['succeeded', true],
      ['succeeded', false],
      ['failed', false],
    ])
  })

  test('shows the manifest and result file that its events announce', () => {
    const [csv = ''] = blocks(sectionOf('The result file'), 'csv')
    const [text = ''] = examplesOf('result-manifest')
    const manifest = ResultManifest.parse(JSON.parse(text))
    const rows = csv.trim().split('\n').length - 1
    expect(manifest.files).toMatchObject([{ sha256: sha256(csv), bytes: Buffer.byteLength(csv), rows }])
    const [completed = ''] = examplesOf('aduana.metric_run.completed')
    const { runId, attempt, rowCount } = manifest
    expect(JSON.parse(completed).data).toMatchObject({
      runId,
      attempt,
      rowCount,
      manifest: { sha256: sha256(text) },
    })
  })

  test('declares a valid metric', () => {
    const [text = ''] = examplesOf('From the request to the value')
    expect(MetricDefinition.parse(JSON.parse(text))).toMatchObject({ runner: 'external' })
  })

  test('contains only valid JSON in its JSON blocks', () => {
    for (const text of blocks(GUIDE, 'json')) expect(() => JSON.parse(text), text).not.toThrow()
  })

  test('names every reason why a message is refused', () => {
    const problems = [
      'unknown_dataset',
      'impossible_timestamp',
      'event_key_reused',
      'bad_request',
      'bad_window',
    ]
    expect(new Set(tableOf(sectionOf('Refused messages')).keys())).toEqual(
      new Set([...Object.keys(MESSAGE_REFUSALS), ...problems]),
    )
  })
})

describe('the published JSON Schemas', () => {
  test('are those of the program (written by the script event-schemas of packages/metrics)', () => {
    const files = readdirSync(SCHEMAS_FOLDER).map((name): [string, string] => [
      name,
      readFileSync(new URL(name, SCHEMAS_FOLDER), 'utf8'),
    ])
    expect(new Map(files)).toEqual(publishedSchemas())
  })

  test('cover every type of event', () => {
    const types = METRIC_MESSAGES.map(({ type }) => type)
    expect(types).toEqual(Object.keys(METRIC_EVENTS))
    expect(types).toEqual(expect.arrayContaining([...INCOMING_TYPES]))
  })

  test('refuse what our schemas refuse', () => {
    const ajv = new Ajv2020()
    formats.default(ajv)
    for (const { name, schema, text } of examples) {
      const validate = ajv.compile(jsonSchemaOf(name, schema))
      const message = z.looseObject({ data: z.looseObject({}).optional() }).parse(JSON.parse(text))
      const wrong = message.data
        ? { ...message, data: { ...message.data, surplus: 1 } }
        : { ...message, specversion: '0.3' }
      expect([name, schema.safeParse(wrong).success, validate(wrong)]).toEqual([name, false, false])
    }
  })
})

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
