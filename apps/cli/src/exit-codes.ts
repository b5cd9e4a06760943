import type { Job } from '@aduana/contracts/jobs'

/** What the program tells the shell. Scripts rely on these numbers: add to them, never change them. */
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

/** What each exit code means, in the words of `--help`. */
const EXIT_MEANINGS: Readonly<Record<ExitName, string>> = {
  loaded: 'loaded, every record accounted for (or: the command did what it was asked)',
  error: 'wrong usage, not logged in, or anything not named below',
  quarantined: 'loaded, but some records are in quarantine (of a dry run: would be), or there are warnings',
  failed:
    'the file cannot be imported (empty, of another kind), or the import failed or was cancelled; nothing was loaded',
  locked: 'the window is held by another job',
  alreadyImported:
    'the same bytes, or the same rows of an append, have been imported before (--force imports them again); of a dry run: the import would be refused for it',
  unavailable: 'the queue is full, too many logins have failed, or the service cannot be reached',
  waitingForApproval: 'the import waits for approval; nothing is loaded yet',
  interrupted: 'interrupted with Ctrl-C; a job that was accepted goes on',
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

/** The table of exit codes below the help. */
export function exitCodeHelp(): string {
  const lines = NAMES.map((name) => `  ${String(EXIT[name]).padStart(3)}  ${EXIT_MEANINGS[name]}`)
  return `Exit codes:\n${lines.join('\n')}`
}

/** How a job ended, or that a person must decide; null while it goes on by itself. */
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

/** Whether a dry run has found that the import itself would be refused, because it was done before. */
export function wouldBeRefused({ dryRun, warnings }: Pick<Job, 'dryRun' | 'warnings'>): boolean {
  return dryRun && warnings.some(({ code }) => code === 'already_imported')
}

/** The outcome that a problem of the API stands for. `code` is its stable code. */
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
      // A proxy in front of the API answers for it without knowing our codes.
      return status === 429 || status === 502 || status === 503 || status === 504 ? 'unavailable' : 'error'
  }
}
