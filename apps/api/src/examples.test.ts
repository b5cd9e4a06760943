import { ImportAccepted } from '@aduana/contracts/jobs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openApiDocument } from './openapi-document.ts'
import { productionFile } from './testing/multipart.ts'
import { startApi, type TestApi, type TestUser } from './testing/start-api.ts'

type Schema = Parameters<typeof z.fromJSONSchema>[0] & object

const Described = z.object({
  parameters: z
    .array(
      z
        .object({ name: z.string(), required: z.boolean().default(false), schema: z.custom<Schema>() })
        .loose(),
    )
    .default([]),
  requestBody: z
    .object({
      content: z.record(
        z.string(),
        z.object({ schema: z.custom<Schema>(), example: z.unknown().optional() }),
      ),
    })
    .optional(),
})

const text = await openApiDocument()
// As a schema of its own: its definitions stand elsewhere in an OpenAPI document.
const document = JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/'))
const $defs = document.components.schemas
const operations = Object.entries<Record<string, unknown>>(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, described]) => ({
    name: `${method.toUpperCase()} ${path}`,
    ...Described.parse(described),
  })),
)
const bodies = operations.flatMap(({ name, requestBody }) =>
  Object.entries(requestBody?.content ?? {}).map(([type, { schema, example }]) => ({
    name: `${name} ${type}`,
    type,
    schema,
    example,
  })),
)
const examplesOf = (schema: Schema): unknown[] => schema.examples ?? []
const accepts = (schema: Schema, example: unknown) =>
  z.fromJSONSchema({ ...schema, $defs }).safeParse(example).success

describe('the page to try the API starts', () => {
  test.each(bodies.filter(({ type }) => type === 'application/json'))(
    'with a body that its own schema accepts: $name',
    ({ schema, example }) => {
      expect(example).toBeDefined()
      expect(accepts(schema, example)).toBe(true)
    },
  )

  test.each(bodies.filter(({ type }) => type === 'multipart/form-data'))(
    'with a form of which nothing optional is filled in: $name',
    ({ schema }) => {
      const { required = [], properties = {} } = schema
      for (const [field, described] of Object.entries(properties)) {
        if (field === 'file' || typeof described === 'boolean') continue
        const [example] = examplesOf(described)
        expect(example, field).toBe(required.includes(field) ? 'production' : '')
        expect(accepts(described, example), field).toBe(true)
      }
    },
  )

  test('with parameters that their own schemas accept, and with no optional one', () => {
    const parameters = operations.flatMap(({ parameters }) => parameters)
    const withExamples = parameters.filter(({ schema, example }) => example !== undefined || schema.examples)
    expect(withExamples.length).toBeGreaterThan(5)
    for (const { name, required, schema, example = schema.examples?.[0] } of withExamples) {
      expect(accepts(schema, example), name).toBe(true)
      expect(required, name).toBe(true)
    }
  })
})

describe('the form of an import', () => {
  let api: TestApi
  let admin: TestUser
  beforeAll(async () => {
    api = await startApi()
    admin = await api.addUser('admin')
  })
  afterAll(() => api.close())

  test('is accepted as the page sends it, with a file', async () => {
    const schema = bodies.find(({ name }) => name.startsWith('POST /api/imports '))?.schema ?? {}
    const form = new FormData()
    for (const [field, described] of Object.entries(schema.properties ?? {}))
      if (field !== 'file' && typeof described !== 'boolean')
        form.append(field, String(examplesOf(described)[0]))
    form.append('file', new Blob([productionFile()]), 'production.csv')
    const answer = await admin.ask('/api/imports', { method: 'POST', body: form })
    expect(answer.status).toBe(202)
    const { id } = ImportAccepted.parse(await answer.json())
    const { encoding, declared_window, delimiter } = await api.db
      .selectFrom('imports')
      .select(['encoding', 'declared_window', 'delimiter'])
      .where('job_id', '=', id)
      .executeTakeFirstOrThrow()
    expect({ encoding, declared_window, delimiter }).toEqual({
      encoding: null,
      declared_window: null,
      delimiter: null,
    })
  })
})
