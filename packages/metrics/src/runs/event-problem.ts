/** An event of a runner that can never be applied: of a run that does not exist, or of an attempt nobody asked for. */
export class RunEventError extends Error {
  override readonly name = 'RunEventError'
  readonly code: 'unknown_run' | 'unknown_attempt'
  readonly runId: string
  constructor(code: 'unknown_run' | 'unknown_attempt', runId: string, detail: string) {
    super(detail)
    this.code = code
    this.runId = runId
  }
}
