import type { Problem } from '@aduana/contracts/problems'
import { z } from 'zod'
import { type ExitName, outcomeOfProblem } from './exit-codes.ts'

/** The command cannot be done as it was given; the message says what to do instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'you may not read it',
  EISDIR: 'it is a folder',
}

/** A file cannot be read; `error` says why. */
export function unreadable(path: string, error: NodeJS.ErrnoException): UsageError {
  return new UsageError(`${path} cannot be read: ${FILE_ERRORS[error.code ?? ''] ?? error.message}`)
}

/** A file cannot be written; `error` says why. */
export function unwritable(path: string, error: NodeJS.ErrnoException): UsageError {
  const why = error.code === 'ENOENT' ? 'there is no such folder' : error.message
  return new UsageError(`${path} cannot be written: ${error.code === 'EACCES' ? 'you may not' : why}`)
}

/** The API refused with a problem document. */
export class ApiProblem extends Error {
  readonly problem: Problem
  /** Seconds after which the API wants to be asked again, if it said so. */
  readonly retryAfter: number | undefined
  constructor(problem: Problem, retryAfter: number | undefined) {
    super(problem.detail)
    this.name = 'ApiProblem'
    this.problem = problem
    this.retryAfter = retryAfter
  }
}

/** The API could not be reached, or the connection broke. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
}

/** What an error tells the shell. */
export function outcomeOfError(error: unknown): ExitName {
  if (error instanceof ApiProblem) return outcomeOfProblem(error.problem.code, error.problem.status)
  return error instanceof ConnectionError ? 'unavailable' : 'error'
}

/** What an error tells a person, in one or two lines. */
export function describeError(error: unknown): string {
  if (error instanceof ApiProblem) {
    const { title, detail, code } = error.problem
    const { retryAfter } = error
    const wait = retryAfter === undefined ? [] : [`Try again in ${Math.ceil(retryAfter)} s.`]
    return [`${title} (${code})`, ...(problemLines(error.problem) ?? [detail]), ...wait].join('\n')
  }
  return error instanceof Error ? error.message : String(error)
}

const Problems = z.array(
  z.object({
    metric: z.string().nullish(),
    series: z.string().nullish(),
    path: z.string(),
    message: z.string(),
  }),
)

/** Each of the problems that a refused definition has, where there are several. */
function problemLines({ problems }: Problem): string[] | undefined {
  const parsed = Problems.safeParse(problems)
  if (!parsed.success || parsed.data.length < 2) return undefined
  return parsed.data.map(({ metric, series, path, message }) => {
    const place = [metric ?? series ?? '', path].filter((part) => part !== '').join(', ')
    return `${place}${place && ': '}${message}`
  })
}
