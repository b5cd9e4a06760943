import fc from 'fast-check'
import { forms } from './forms.ts'
import { mutationsOf } from './mutations.ts'
import { HOSTILE, type Schema, valuesOf, type World } from './schema-values.ts'

/** A request, byte by byte. */
export interface FuzzRequest {
  method: string
  path: string
  headers: Record<string, string>
  body: Buffer | undefined
}

/** An operation of the API, as its document describes it. */
export interface Operation {
  method: string
  path: string
  parameters: { in: string; name: string; schema: Schema }[]
  /** Content types of its body, and the schema of each. */
  bodies: Record<string, Schema>
}

/** Returns requests of an operation: with valid parameters, headers and bodies, and with hostile ones. */
export function requestsOf(
  operation: Operation,
  world: World,
  good: readonly unknown[],
): fc.Arbitrary<FuzzRequest> {
  const { method, parameters, bodies } = operation
  const of = (place: string) => parameters.filter((parameter) => parameter.in === place)
  const texts = (place: string) =>
    fc.record(
      Object.fromEntries(of(place).map(({ name, schema }) => [name, parameterTexts(name, schema, world)])),
      place === 'path' ? {} : { requiredKeys: [] },
    )
  const extra = fc.option(fc.tuple(HOSTILE, HOSTILE), { freq: 12 })
  return fc
    .record({
      path: texts('path'),
      query: texts('query'),
      headers: texts('header'),
      extra,
      body: fc.oneof(...bodiesOf(bodies, world, good)),
    })
    .map(({ path, query, headers, extra, body }) => {
      const pairs = [...Object.entries(query), ...(extra ? [extra] : [])].map(
        ([name, value]) => `${encoded(textOf(name))}=${encoded(textOf(value))}`,
      )
      const address = operation.path.replaceAll(
        /\{(\w+)\}/g,
        (_, name) => encoded(textOf(path[name])) || '%20',
      )
      return {
        method,
        path: shortened(`${address}${pairs.length > 0 ? `?${pairs.join('&')}` : ''}`),
        headers: { ...headersOf(headers), ...body.headers },
        body: body.body,
      }
    })
}

interface Body {
  headers: Record<string, string>
  body: Buffer | undefined
}

const NO_BODY: fc.Arbitrary<Body> = fc.constant({ headers: {}, body: undefined })

/** Returns bodies of every content type of an operation, and sometimes of another one. */
function bodiesOf(bodies: Record<string, Schema>, world: World, good: readonly unknown[]) {
  const json = (values: fc.Arbitrary<unknown>): fc.Arbitrary<Body> =>
    fc.tuple(values, spoiling).map(([value, spoil]) => ({
      headers: { 'content-type': 'application/json' },
      body: spoil(Buffer.from(JSON.stringify(value) ?? '')),
    }))
  return [
    { weight: 1, arbitrary: NO_BODY },
    { weight: 1, arbitrary: json(HOSTILE) },
    { weight: 1, arbitrary: forms({}, world) },
    { weight: 1, arbitrary: OTHER_CONTENT },
    ...Object.entries(bodies).map(([type, schema]) => ({
      weight: 12,
      arbitrary: type === 'multipart/form-data' ? forms(schema, world) : json(valuesOf(schema, world)),
    })),
    ...(Object.keys(bodies).length === 0 ? [{ weight: 12, arbitrary: NO_BODY }] : []),
    ...(good.length > 0
      ? [{ weight: 24, arbitrary: json(fc.constantFrom(...good).chain((value) => mutationsOf(value))) }]
      : []),
  ]
}

const OTHER_CONTENT: fc.Arbitrary<Body> = fc
  .tuple(
    fc.constantFrom(
      '',
      'text/plain',
      'application/xml',
      'application/json; charset=utf-7',
      'multipart/mixed',
      'x',
      'application/x-www-form-urlencoded',
    ),
    fc.uint8Array({ maxLength: 60 }),
  )
  .map(([type, bytes]) => ({ headers: { 'content-type': type }, body: Buffer.from(bytes) }))

/** Ways to break the text of a JSON value; mostly none. */
const spoiling: fc.Arbitrary<(json: Buffer) => Buffer> = fc.oneof(
  { weight: 20, arbitrary: fc.constant((json: Buffer) => json) },
  { weight: 1, arbitrary: fc.nat(200).map((length) => (json: Buffer) => json.subarray(0, length)) },
  {
    weight: 1,
    arbitrary: fc.constant((json: Buffer) => Buffer.from(json.toString().replace(/\d+/, '1e999'))),
  },
  {
    weight: 1,
    arbitrary: fc.constant((json: Buffer) => Buffer.from(json.toString().replace(/"\w+":/, '"__proto__":'))),
  },
  {
    weight: 1,
    arbitrary: fc.constant((json: Buffer) => Buffer.concat([Buffer.from([0xff, 0xfe, 0xc0]), json])),
  },
)

function parameterTexts(name: string, schema: Schema, world: World): fc.Arbitrary<unknown> {
  const cursor = fc
    .oneof(
      fc.array(fc.oneof(HOSTILE, fc.constantFrom('2026-01-01', '2026-01-01T00:00:00.000000Z', 1, '1')), {
        maxLength: 3,
      }),
      HOSTILE,
    )
    .map((position) => Buffer.from(JSON.stringify(position) ?? '').toString('base64url'))
  return name === 'cursor' ? fc.oneof(cursor, valuesOf(schema, world, name)) : valuesOf(schema, world, name)
}

/** Headers hold bytes that can be seen; the client itself refuses others. */
function headersOf(headers: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Buffer.from(textOf(value))
        .toString('latin1')
        .replaceAll(/[^\x20-\x7e\x80-\xff]/g, '')
        .slice(0, 2000),
    ]),
  )
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

/** Longer ones do not reach the API: the parser of HTTP refuses heads of more than 16 KiB. */
function shortened(path: string): string {
  return path.slice(0, 6000).replace(/%\w?$/, '')
}

/** Percent-encoded, also halves of surrogate pairs, which no encoder takes. */
function encoded(text: string): string {
  return text.slice(0, 4000).replaceAll(/[^\w.~-]/gu, (sign) => {
    const code = sign.codePointAt(0) ?? 0
    const half = code >= 0xd800 && code <= 0xdfff
    const bytes = half
      ? [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)]
      : Buffer.from(sign)
    return [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  })
}
