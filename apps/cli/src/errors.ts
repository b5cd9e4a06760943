import type { Problem } from '@aduana/contracts/problems'
import { type ExitName, outcomeOfProblem } from './exit-codes.ts'

/** The command cannot be done as it was given; the message says what to do instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
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
    return `${title} (${code})\n${detail}`
  }
  return error instanceof Error ? error.message : String(error)
}
