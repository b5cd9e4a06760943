import type { Job } from '@aduana/contracts/jobs'

/** The exit codes. Scripts rely on these numbers: add to them, never change them. */
export const EXIT = {
  loaded: 0,
  error: 1,
  quarantined: 2,
  failed: 3,
  locked: 4,
  alreadyImported: 5,
  unavailable: 6,
  waitingForApproval: 7,
  interrupted: 130,
} as const

export type ExitName = keyof typeof EXIT
export type ExitCode = (typeof EXIT)[ExitName]

/** The meaning of each exit code, as `--help` shows it. */
const EXIT_MEANINGS: Readonly<Record<ExitName, string>> = {
  loaded: 'loaded, without rejects and warnings; or the command succeeded',
  error: 'wrong usage, not logged in, or any error not listed below',
  quarantined: 'loaded, but with rejects or warnings; or a dry run found some',
  failed:
    'the file cannot be imported (empty, unsupported type), or the import failed or was cancelled; nothing was loaded',
  locked: 'another job has locked the window',
  alreadyImported:
    'the same bytes, or the same rows of an append, have already been imported (--force imports them again); or a dry run found that the import would be refused for this reason',
  unavailable: 'the queue is full, too many logins have failed, or the service cannot be reached',
  waitingForApproval: 'the import waits for approval; nothing is loaded yet',
  interrupted: 'interrupted with Ctrl-C; an accepted job continues',
}

const NAMES: readonly ExitName[] = [
  'loaded',
  'error',
  'quarantined',
  'failed',
  'locked',
  'alreadyImported',
  'unavailable',
  'waitingForApproval',
  'interrupted',
]

/** Returns the table of exit codes for the help. */
export function exitCodeHelp(): string {
  const lines = NAMES.map((name) => `  ${String(EXIT[name]).padStart(3)}  ${EXIT_MEANINGS[name]}`)
  return `Exit codes:\n${lines.join('\n')}`
}

/** Returns how a job ended, or that it waits for approval; null while it is active. */
export function outcomeOfJob(
  job: Pick<Job, 'status' | 'dryRun' | 'counts' | 'waitingFor' | 'warnings' | 'error'>,
): 'loaded' | 'quarantined' | 'failed' | 'alreadyImported' | 'waitingForApproval' | null {
  switch (job.status) {
    case 'COMPLETED':
      if (wouldBeRefused(job)) return 'alreadyImported'
      return (job.counts.quarantined ?? 0) > 0 || job.warnings.length > 0 ? 'quarantined' : 'loaded'
    case 'FAILED':
      return job.error?.code === 'already_imported' ? 'alreadyImported' : 'failed'
    case 'CANCELLED':
      return 'failed'
    case 'QUEUED':
    case 'PROCESSING':
      return job.waitingFor === 'approval' ? 'waitingForApproval' : null
  }
}

/** Returns true if a dry run found that the import would be refused as already imported. */
export function wouldBeRefused({ dryRun, warnings }: Pick<Job, 'dryRun' | 'warnings'>): boolean {
  return dryRun && warnings.some(({ code }) => code === 'already_imported')
}

/** Returns the exit code name for a problem of the API. `code` is its stable code. */
export function outcomeOfProblem(code: string, status: number): ExitName {
  switch (code) {
    case 'window_locked':
      return 'locked'
    case 'already_imported':
      return 'alreadyImported'
    case 'empty_file':
    case 'unsupported_type':
    case 'file_too_large':
      return 'failed'
    case 'queue_full':
    case 'unavailable':
      return 'unavailable'
    default:
      // A proxy in front of the API does not know its codes.
      return status === 429 || status === 502 || status === 503 || status === 504 ? 'unavailable' : 'error'
  }
}
