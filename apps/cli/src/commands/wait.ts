import type { Job } from '@aduana/contracts/jobs'
import type { JobPreview } from '@aduana/contracts/load-preview'
import type { Api } from '../api/api.ts'
import { type JobReport, readPreview, readReport } from '../api/calls.ts'
import { EXIT, type ExitCode, outcomeOfJob } from '../exit-codes.ts'
import { followJob } from '../follow/follow-job.ts'
import { Interrupted, type Io } from '../io.ts'
import type { Display } from '../show/display.ts'
import { jobFacts } from '../show/progress.ts'
import { renderSummary } from '../show/summary.ts'

/** Shows the progress of a job until it ends or waits for approval, and returns it. An error is preceded by a note that the job continues. */
export async function waitForJob(io: Io, api: Api, id: string, display: Display): Promise<Job> {
  try {
    const job = await followJob(api, id, (view) => display.show(jobFacts(view)))
    display.end()
    return job
  } catch (error) {
    display.end()
    const reason = error instanceof Interrupted ? 'Stopped waiting' : 'The connection was lost'
    io.err(`${reason}; the job continues. To follow it: ${io.program} jobs ${id} --follow\n`)
    throw error
  }
}

/** Prints a job, which may still be running, as text or JSON. Returns the exit code. */
export async function reportJob(io: Io, api: Api, job: Job, json: boolean): Promise<ExitCode> {
  const outcome = outcomeOfJob(job)
  const exitCode = outcome === null ? EXIT.loaded : EXIT[outcome]
  const report = job.type === 'import' ? await readReport(api, job.id) : undefined
  const preview = showsPreview(job) ? await readPreview(api, job.id) : undefined
  io.out(
    json
      ? renderJson(job, { report, preview }, { outcome: outcome ?? 'running', exitCode })
      : renderSummary(job, { report, preview }, io.program),
  )
  return exitCode
}

/** True for a job whose result is its preview. */
function showsPreview(job: Job): boolean {
  return job.waitingFor === 'approval' || (job.dryRun && job.status === 'COMPLETED')
}

function renderJson(
  job: Job,
  { report, preview }: { report: JobReport | undefined; preview: JobPreview | undefined },
  end: { outcome: string; exitCode: ExitCode },
): string {
  return JSON.stringify({ ...end, job, ...(report ? { report } : {}), ...(preview ? { preview } : {}) })
}
