/** Why an event of a runner can never be applied. */
export type RunEventProblem = 'unknown_run' | 'unknown_attempt' | 'not_external'

/**
 * An event of a runner that can never be applied: of a run that does not exist, of an attempt nobody asked for, or from
 * outside of a run that Aduana computes itself.
 */
export class RunEventError extends Error {
  override readonly name = 'RunEventError'
  readonly code: RunEventProblem
  readonly runId: string
  constructor(code: RunEventProblem, runId: string, detail: string) {
    super(detail)
    this.code = code
    this.runId = runId
  }
}
