import fc from 'fast-check'
import { HEADER } from '../multipart.ts'
import { HOSTILE, type Schema, valuesOf, type World } from './schema-values.ts'

interface Part {
  name: string
  value: string
  /** What follows the name in Content-Disposition, and the other headers of the part. */
  rest: string
}

/** Multipart bodies: the fields of a schema with a file, and forms that are broken in every way a form can be. */
export function forms(
  schema: Schema,
  world: World,
): fc.Arbitrary<{ headers: Record<string, string>; body: Buffer }> {
  const declared = Object.entries(schema.properties ?? {}).map(([name, property]) =>
    partOf(name, property, world),
  )
  const required = new Set(schema.required)
  const fields = fc.tuple(
    ...declared.map(({ name, part }) =>
      required.has(name) ? fc.option(part, { freq: 20 }) : fc.option(part, { freq: 2 }),
    ),
  )
  const strange = fc.array(fc.tuple(HOSTILE, HOSTILE, fc.constantFrom(...RESTS)), { maxLength: 2 })
  return fc
    .record({
      fields,
      strange: fc.option(strange, { freq: 5 }),
      boundary: fc.oneof(
        { weight: 10, arbitrary: fc.constant('limit') },
        { weight: 1, arbitrary: BOUNDARIES },
      ),
      cut: fc.option(fc.nat(400), { freq: 15 }),
    })
    .map(({ fields, strange, boundary, cut }) => {
      const odd = (strange ?? []).map(([name, value, rest]) => ({
        name: text(name),
        value: text(value),
        rest,
      }))
      const parts = [...fields.flatMap((part) => part ?? []), ...odd]
      const whole = parts.map(({ name, value, rest }) => {
        const shown = name.replaceAll(/[\r\n"]/g, '_')
        return `--${boundary}\r\nContent-Disposition: form-data; name="${shown}"${rest}\r\n\r\n${value}\r\n`
      })
      const body = Buffer.from(`${whole.join('')}--${boundary}--\r\n`)
      return {
        headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
        body: cut === null ? body : body.subarray(0, cut),
      }
    })
}

const JSON_FIELD = '\r\nContent-Type: application/json'
const RESTS = [
  '',
  JSON_FIELD,
  '; filename="a.csv"',
  '; filename="\0"',
  `; filename="${'ñ😀'.repeat(120)}"`,
  '; filename=""',
  "; filename*=UTF-8''%00%ed%a0%80",
  "; filename*=nothing''%ff",
  '\r\nContent-Type: text/plain; charset=utf-16le',
  '\r\nContent-Type: \0',
  '\r\nContent-Transfer-Encoding: base64',
  `\r\nX-Long: ${'x'.repeat(100_000)}`,
]

const BOUNDARIES = fc.constantFrom(
  '',
  'b'.repeat(253),
  'b'.repeat(5000),
  '"',
  '"a b"',
  '--',
  'ñ',
  'a;b',
  '%00',
)

function partOf(name: string, schema: Schema, world: World): { name: string; part: fc.Arbitrary<Part> } {
  if (name === 'file') return { name, part: FILES }
  const values = valuesOf(schema, world, name)
  const rest = fc.oneof(
    { weight: 12, arbitrary: fc.constant('') },
    { weight: 1, arbitrary: fc.constant(JSON_FIELD) },
  )
  return { name, part: fc.tuple(values, rest).map(([value, rest]) => ({ name, value: text(value), rest })) }
}

const FILES: fc.Arbitrary<Part> = fc
  .tuple(
    fc.oneof(
      fc.uuid().map((lot) => `${HEADER}\n2026-03-02;M001;W0001;1;steel;${lot};3;1,500;\n`),
      HOSTILE.map(text),
    ),
    fc.oneof(
      { weight: 12, arbitrary: fc.constant('; filename="a.csv"') },
      { weight: 4, arbitrary: fc.constantFrom(...RESTS) },
    ),
  )
  .map(([value, rest]) => ({ name: 'file', value, rest }))

function text(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}
