import type { z } from 'zod'
import { expectationOf, MARK } from './expectations.ts'
import { counted } from './figures.ts'
import { shownValue } from './shown-value.ts'
import { pathOf } from './structure.ts'

/** What is wrong with one part of an input, for the person who sent it. */
export interface InputProblem {
  /** Path of the part, such as `columns[2].name`; empty for the input as a whole. */
  field: string
  /** What was found and what is expected: `is "abc"; expected a whole number`. */
  message: string
  /** The value that was found, shortened; null when there is none. Never a password. */
  found: string | null
  /** What is expected; null when the message alone says it. */
  expected: string | null
}

const MAX_PROBLEMS = 50
const MAX_ISSUES = 500

type Issue = z.core.$ZodIssue

/** Parses an input by a schema. Returns its data, or everything that is wrong with it, in the order of the schema, at most 50 problems. */
export function readInput<T extends z.ZodType>(
  schema: T,
  input: unknown,
): { data: z.output<T>; problems?: never } | { problems: InputProblem[] } {
  const result = schema.safeParse(input, { error: (issue) => `${MARK}${expectationOf(issue)}` })
  if (result.success) return { data: result.data }
  const issues = result.error.issues.slice(0, MAX_ISSUES).flatMap((issue) => innermost(issue, []))
  const problems = withoutImplied(issues).flatMap((issue) => problemsOf(issue, input))
  return { problems: problems.slice(0, MAX_PROBLEMS) }
}

/** Returns problems in the form in which definitions report them: a path, the code `invalid` and a message. */
export function structureProblems(
  problems: readonly InputProblem[],
): { path: string; code: 'invalid'; message: string }[] {
  return problems.map(({ field, message }) => ({ path: field, code: 'invalid', message }))
}

/** Returns problems as one text of sentences: `"limit" is "abc"; expected a whole number. "status" …`. `whole` names the input itself. */
export function problemText(
  problems: readonly Pick<InputProblem, 'field' | 'message'>[],
  whole: string,
  max = 10,
): string {
  const sentences = problems.slice(0, max).map(({ field, message }) => {
    const place = field === '' ? whole : `"${field}"`
    return sentence(`${place}${/^(is|must) /.test(message) ? '' : ':'} ${message}`)
  })
  const left = problems.length - sentences.length
  return [...sentences, ...(left > 0 ? [`And ${counted(left, 'more problem')}.`] : [])].join(' ')
}

/**
 * Returns the first of several problems as text, with the number of the others: `columns[0]: has no name. And 2 more
 * problems.` `whole` names the input itself.
 */
export function firstProblemText(
  problems: readonly { place: string; message: string }[],
  whole: string,
): string {
  const [first] = problems
  if (!first) return `${whole} is invalid.`
  const { place, message } = first
  const subject = place !== '' ? `${place}: ` : /^(is|must) /.test(message) ? `${whole} ` : ''
  const left = problems.length - 1
  return `${sentence(`${subject}${message}`)}${left > 0 ? ` And ${counted(left, 'more problem')}.` : ''}`
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

/** An issue with the whole path of its part. */
type Placed = Issue & { path: PropertyKey[] }

/** Keeps the first issue of each part, and all custom ones: a part of the wrong type breaks other rules too. */
function withoutImplied(issues: readonly Placed[]): Placed[] {
  const first = new Map<string, Placed>()
  return issues.filter((issue) => {
    const field = pathOf(issue.path)
    const before = first.get(field)
    if (!before) first.set(field, issue)
    return !before || before.code === 'custom' || issue.code === 'unrecognized_keys'
  })
}

/** Returns the issues of the union member that matches the input best; other issues unchanged. */
function innermost(issue: Issue, before: readonly PropertyKey[]): Placed[] {
  const placed: Placed = { ...issue, path: [...before, ...issue.path] }
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [placed]
  const alternatives = issue.errors.map((issues) => issues.flatMap((inner) => innermost(inner, placed.path)))
  const depth = placed.path.length
  const ofThisKind = alternatives.filter((issues) => issues.every(({ path }) => path.length > depth))
  if (ofThisKind.length === 0) return [{ ...placed, message: eitherOf(alternatives) }]
  const choice = choiceOf(ofThisKind)
  if (choice) return [choice]
  const [closest = []] = [...ofThisKind].sort((a, b) => mismatches(a) - mismatches(b) || a.length - b.length)
  return closest
}

/** Returns what the members of a union expect when the input has the type of none: `text or a number`. */
function eitherOf(alternatives: readonly Placed[][]): string {
  const expected = alternatives.flatMap((issues) => issues.slice(0, 1).map(({ message }) => plain(message)))
  return `${MARK}${[...new Set(expected)].join(' or ')}`
}

/** Returns one issue for the discriminating field of a union when the input has none of its values. */
function choiceOf(alternatives: readonly Placed[][]): Placed | undefined {
  if (alternatives.length < 2) return undefined
  const [first = []] = alternatives
  for (const issue of first) {
    const same = alternatives.map((issues) =>
      issues.find(({ code, path }) => code === 'invalid_value' && pathOf(path) === pathOf(issue.path)),
    )
    const values = same.flatMap((found) => (found?.code === 'invalid_value' ? found.values : []))
    if (same.every((found) => found !== undefined))
      return {
        ...issue,
        message: `${MARK}${expectationOf({ code: 'invalid_value', values, input: undefined })}`,
      }
  }
  return undefined
}

function mismatches(issues: readonly Placed[]): number {
  return issues.filter(({ code }) => code === 'invalid_value').length
}

function problemsOf(issue: Placed, input: unknown): InputProblem[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => unknownField([...issue.path, key], plain(issue.message)))
  const place = placeOf(input, issue.path)
  const field = pathOf(issue.path)
  const found = place.isMissing ? null : shownValue(place.value, issue.path.at(-1))
  const is = place.isMissing ? 'is missing' : place.value === '' ? 'is empty' : `is ${found}`
  const problem = (message: string, expected: string | null) => ({ field, message, found, expected })
  if (issue.message.startsWith(MARK)) {
    const expected = plain(issue.message)
    return [problem(place.isMade ? `expected ${expected}` : `${is}; expected ${expected}`, expected)]
  }
  // Written for the schema: what it must be, or what is wrong between its parts.
  if (!/^must (be|have) /.test(issue.message)) return [problem(issue.message, null)]
  const expected = issue.message.replace(/^must be /, '')
  return [problem(place.isMade ? issue.message : `${is}; it ${issue.message}`, expected)]
}

function unknownField(path: readonly PropertyKey[], known: string): InputProblem {
  const field = pathOf(path)
  return { field, message: `is not a known field; ${known}`, found: null, expected: known }
}

function plain(message: string): string {
  return message.startsWith(MARK) ? message.slice(MARK.length) : message
}

/** Returns the value at a path of the input. `isMade`: the schema derived the part, from text for example; the input has no such part. */
function placeOf(
  input: unknown,
  path: readonly PropertyKey[],
): { value: unknown; isMissing: boolean; isMade: boolean } {
  let value = input
  for (const [index, part] of path.entries()) {
    if (typeof value !== 'object' || value === null) return { value, isMissing: false, isMade: true }
    const isThere = Object.hasOwn(value, part)
    if (!isThere && index < path.length - 1) return { value: undefined, isMissing: true, isMade: false }
    value = isThere ? Reflect.get(value, part) : undefined
  }
  return { value, isMissing: value === undefined, isMade: false }
}
