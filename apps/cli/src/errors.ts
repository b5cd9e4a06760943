import type { Problem } from '@aduana/contracts/problems'
import { z } from 'zod'
import { type ExitName, outcomeOfProblem } from './exit-codes.ts'

/** The command cannot be executed as given; the message says what to do instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'the file does not exist',
  EACCES: 'permission denied',
  EISDIR: 'the path is a folder',
}

/** Returns the error for a file that cannot be read; `error` is the cause. */
export function unreadable(path: string, error: NodeJS.ErrnoException): UsageError {
  return new UsageError(`${path} cannot be read: ${FILE_ERRORS[error.code ?? ''] ?? error.message}`)
}

/** Returns the error for a file that cannot be written; `error` is the cause. */
export function unwritable(path: string, error: NodeJS.ErrnoException): UsageError {
  const why = error.code === 'ENOENT' ? 'the folder does not exist' : error.message
  return new UsageError(`${path} cannot be written: ${error.code === 'EACCES' ? 'permission denied' : why}`)
}

/** The API refused with a problem document. */
export class ApiProblem extends Error {
  readonly problem: Problem
  /** Seconds to wait before a retry, if the API returns them. */
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

/** Returns the exit code name for an error. */
export function outcomeOfError(error: unknown): ExitName {
  if (error instanceof ApiProblem) return outcomeOfProblem(error.problem.code, error.problem.status)
  return error instanceof ConnectionError ? 'unavailable' : 'error'
}

/** Returns an error as text, one line or more. */
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

/** Returns a line for each problem of a refused definition; undefined when there is at most one. */
function problemLines({ problems }: Problem): string[] | undefined {
  const parsed = Problems.safeParse(problems)
  if (!parsed.success || parsed.data.length < 2) return undefined
  return parsed.data.map(({ metric, series, path, message }) => {
    const place = [metric ?? series ?? '', path].filter((part) => part !== '').join(', ')
    return `${place}${place && ': '}${message}`
  })
}
