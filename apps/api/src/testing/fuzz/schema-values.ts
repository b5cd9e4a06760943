import fc from 'fast-check'

/** The part of JSON Schema that the document of the API uses. */
export interface Schema {
  $ref?: string
  type?: string
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  oneOf?: Schema[]
  properties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  items?: Schema
  required?: string[]
  format?: string
  pattern?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  minLength?: number
  maxLength?: number
  maxItems?: number
}

/** What a value is made of: the named schemas of the document, and values of fields that mean something here. */
export interface World {
  schemas: Readonly<Record<string, Schema>>
  /** Values that are known here, by the name of their field. */
  known: Readonly<Record<string, readonly unknown[]>>
}

/** Texts and other values that have broken programs before. */
export const HOSTILE: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    ...[
      '',
      ' ',
      '\0',
      'a\0b',
      '\ud800',
      '\udfff x',
      '\u{10ffff}',
      'ﷺ'.repeat(20),
      "'; drop table jobs; --",
      '%00',
      '%',
      '"',
      '\\',
    ],
    ...[
      '__proto__',
      'constructor',
      'toString',
      'null',
      'undefined',
      'NaN',
      'infinity',
      '-infinity',
      'epoch',
      'now',
      '{}',
    ],
    ...[
      '0000-01-01',
      '0001-01-01',
      '9999-12-31',
      '+010000-01-01',
      '2026-02-30',
      '0000-01-01T00:00:00Z',
      '9999-12-31T23:59:59Z',
    ],
    ...[
      '2026-01-01T00:00:00+23:59',
      '2026-01-01T00:00:00-15:00',
      '2026-01-01T00:00:00.123456789123Z',
      '2026-01-01T23:59:60Z',
    ],
    ...[
      '1e400',
      '-1',
      '0x10',
      '99999999999999999999',
      '9223372036854775808',
      '2147483648',
      '1.5',
      '00000000-0000-0000-0000-000000000000',
    ],
    ...[null, true, false, [], {}, [null], [[[[]]]], { a: { b: {} } }, { toString: 1, valueOf: 1 }],
    ...[0, -0, -1, 0.1, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 2 ** 63, 1e21, 1e308, -1e308, 5e-324],
  ),
  fc.integer({ min: 1, max: 20_000 }).map((length) => 'x'.repeat(length)),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.jsonValue({ maxDepth: 3 }),
  fc.integer({ min: 10, max: 3000 }).map(nested),
)

/** Returns values that a schema allows, with some invalid ones among them. */
export function valuesOf(schema: Schema, world: World, field = '', depth = 0): fc.Arbitrary<unknown> {
  const known = world.known[field]
  return fc.oneof(
    { weight: 30, arbitrary: allowedBy(schema, world, depth) },
    ...(known ? [{ weight: 60, arbitrary: fc.constantFrom(...known) }] : []),
    { weight: 1 + (depth === 0 ? 1 : 0), arbitrary: HOSTILE },
  )
}

function allowedBy(schema: Schema, world: World, depth: number): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) {
    const named = world.schemas[schema.$ref.split('/').at(-1) ?? '']
    if (depth > 8 || !named) return fc.constant(null)
    // Made when it is drawn: what refers to itself in many places would grow without end.
    return fc.constant(named).chain((schema) => allowedBy(schema, world, depth + 1))
  }
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return fc.oneof(...choices.map((choice) => allowedBy(choice, world, depth + 1)))
  switch (schema.type) {
    case 'object':
      return objectsOf(schema, world, depth)
    case 'array':
      return fc.array(valuesOf(schema.items ?? {}, world, '', depth + 1), { maxLength: depth > 4 ? 1 : 3 })
    case 'string':
      return textsOf(schema)
    case 'integer':
      return fc.integer(boundsOf(schema))
    case 'number':
      return fc.oneof(fc.integer(boundsOf(schema)), fc.double({ noNaN: true, noDefaultInfinity: true }))
    case 'boolean':
      return fc.boolean()
    default:
      return fc.constant(null)
  }
}

function objectsOf(schema: Schema, world: World, depth: number): fc.Arbitrary<unknown> {
  const properties = Object.entries(schema.properties ?? {}).map(
    ([name, property]) => [name, valuesOf(property, world, name, depth + 1)] as const,
  )
  const requiredKeys = (schema.required ?? []).filter((name) => Object.hasOwn(schema.properties ?? {}, name))
  return fc.record(Object.fromEntries(properties), { requiredKeys })
}

function textsOf({ format, pattern, minLength = 0, maxLength = 40 }: Schema): fc.Arbitrary<string> {
  if (format === 'uuid') return fc.uuid({ version: 4 })
  const date = fc.date({ min: new Date('1999-01-01'), max: new Date('2101-01-01'), noInvalidDate: true })
  if (format === 'date') return date.map((day) => day.toISOString().slice(0, 10))
  if (format === 'date-time') return date.map((moment) => moment.toISOString())
  if (format === 'email') return fc.constantFrom('admin@aduana.local', 'a@b.co')
  if (pattern !== undefined)
    return fc.stringMatching(new RegExp(pattern)).map((text) => text.slice(0, maxLength))
  return fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 40) })
}

function boundsOf({ minimum, exclusiveMinimum, maximum }: Schema): { min: number; max: number } {
  const min = Math.max(minimum ?? (exclusiveMinimum ?? -1001) + 1, -(2 ** 31))
  return { min, max: Math.max(min, Math.min(maximum ?? min + 2000, 2 ** 31 - 1)) }
}

function nested(levels: number): unknown {
  let value: unknown = []
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? { of: value } : [value]
  return value
}
