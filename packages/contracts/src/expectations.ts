import { z } from 'zod'
import { counted } from './figures.ts'

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  bigint: 'a whole number',
  boolean: 'true or false',
  stringbool: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  tuple: 'a list',
  date: 'a date',
  file: 'a file',
  null: 'null',
  undefined: 'no value',
  never: 'no value',
  nan: 'NaN',
}

const FORMATS: Readonly<Record<string, string>> = {
  email: 'an e-mail address, such as ana@example.com',
  url: 'a URL, such as https://example.com',
  uuid: 'an id, such as 01890a5d-ac96-774b-bcce-b302099a8057',
  guid: 'an id, such as 01890a5d-ac96-774b-bcce-b302099a8057',
  date: 'a day that exists, such as 2026-01-31',
  datetime: 'a time with its zone, such as 2026-01-31T05:00:00Z',
  time: 'a time of day, such as 05:00:00',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
  base64: 'text in Base64',
  base64url: 'text in Base64url',
  json_string: 'JSON',
  regex: 'text in the documented format',
}

const MAX_NAMED = 30

/** Precedes a generated expectation in the message of an issue. A message without it was written for its schema. */
export const MARK = '\u0001'

/** The parts of an issue that its expectation depends on. */
type Issue = { code?: unknown; inst?: unknown; schema?: unknown } & Record<string, unknown>

/** Returns what a schema expects where an issue is, as words that follow "expected"; for an unknown field, the known fields. */
export function expectationOf(issue: Issue): string {
  const number = numberOf(issue)
  if (number !== undefined) return number
  switch (issue.code) {
    case 'invalid_type':
      return formOf(issue) ?? KINDS[String(issue.expected)] ?? String(issue.expected)
    case 'invalid_value':
      return issue.expected === 'stringbool' ? 'true or false' : oneOf(issue.values)
    case 'invalid_format':
      return formatOf(issue)
    case 'too_small':
      return bound(issue, issue.minimum, issue.inclusive === false ? 'more than' : 'at least')
    case 'too_big':
      return bound(issue, issue.maximum, issue.inclusive === false ? 'less than' : 'at most')
    case 'not_multiple_of':
      return `a multiple of ${String(issue.divisor)}`
    case 'unrecognized_keys':
      return knownFields(issue.inst)
    case 'invalid_union':
      return Array.isArray(issue.options) ? oneOf(issue.options) : 'a documented format'
    case 'invalid_key':
      return `a valid name: ${nameOf(issue.issues)}`
    default:
      return 'a documented value'
  }
}

/** Returns what a number schema expects, if the issue is about the type or the bounds. */
function numberOf({ code, inst, schema = inst }: Issue): string | undefined {
  if (!['invalid_type', 'too_small', 'too_big', 'invalid_format'].includes(String(code))) return undefined
  if (!(schema instanceof z.ZodNumber)) return undefined
  const kind = schema.isInt ? 'a whole number' : 'a number'
  const least = boundOf(schema, schema.minValue, 1)
  const most = boundOf(schema, schema.maxValue, -1)
  if (least !== undefined && most !== undefined) return `${kind} from ${least} to ${most}`
  if (least !== undefined) return `${kind} of ${least} or more`
  return most === undefined ? kind : `${kind} of ${most} or less`
}

/**
 * Returns the smallest or largest number that a schema allows, as text; undefined if only the range of a number limits it,
 * or if the bound is exclusive and fractions are allowed.
 */
function boundOf(schema: z.ZodNumber, bound: number | null, inwards: 1 | -1): string | undefined {
  if (bound === null || Math.abs(bound) >= Number.MAX_SAFE_INTEGER) return undefined
  if (schema.safeParse(bound).success) return String(bound)
  return schema.isInt ? String(bound + inwards) : undefined
}

/** Returns the format that a text schema expects, such as a day. */
function formOf({ inst, schema = inst }: Issue): string | undefined {
  return schema instanceof z.ZodStringFormat ? FORMATS[schema._zod.def.format] : undefined
}

function oneOf(values: unknown): string {
  const texts = (Array.isArray(values) ? [...new Set(values)] : []).map((value) =>
    typeof value === 'string' ? `"${value}"` : String(value),
  )
  const shown = texts.slice(0, MAX_NAMED)
  const more = texts.length > shown.length ? ` and ${texts.length - shown.length} more` : ''
  return shown.length === 1 ? `${shown[0]}` : `one of ${shown.join(', ')}${more}`
}

function formatOf({ format, prefix, suffix, includes }: Issue): string {
  if (format === 'starts_with') return `text that begins with "${String(prefix)}"`
  if (format === 'ends_with') return `text that ends with "${String(suffix)}"`
  if (format === 'includes') return `text that contains "${String(includes)}"`
  if (/int|float/.test(String(format))) return 'a smaller whole number'
  return FORMATS[String(format)] ?? 'text in the documented format'
}

function bound({ origin, exact }: Issue, limit: unknown, comparison: string): string {
  const number = typeof limit === 'number' || typeof limit === 'bigint' ? limit : 0
  const how = exact === true ? 'exactly' : comparison
  switch (origin) {
    case 'string':
      return `${how} ${counted(number, 'character')}`
    case 'array':
    case 'set':
    case 'map':
      return `${how} ${counted(number, 'entry', 'entries')}`
    case 'object':
    case 'record':
      return `${how} ${counted(number, 'field')}`
    case 'file':
      return `${how} ${counted(number, 'byte')}`
    default:
      return `${how} ${number}`
  }
}

function knownFields(schema: unknown): string {
  if (!(schema instanceof z.ZodObject)) return 'remove the field'
  const names = Object.keys(schema.shape)
  const shown = names.slice(0, MAX_NAMED).join(', ')
  if (names.length === 0) return 'no fields are allowed'
  return `known fields are ${shown}${names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : ''}`
}

function nameOf(issues: unknown): string {
  const [first] = z.array(z.looseObject({})).catch([]).parse(issues)
  return first ? String(first.message ?? '').replaceAll(MARK, '') : 'one that is allowed'
}
