import { counted, figure } from '@aduana/contracts/figures'
import type { Job } from '@aduana/contracts/jobs'
import { cancelJob, listJobs, readJob, retryJob } from '../api/calls.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { createDisplay, QUIET } from '../show/display.ts'
import { renderTable, shortened } from '../show/table.ts'
import { reportJob, waitForJob } from './wait.ts'

export interface JobsOptions {
  status?: string
  waitingFor?: string
  type?: string
  dataset?: string
  undone?: boolean
  limit: number
  follow?: boolean
  json?: boolean
}

/** `aduana jobs`: the newest jobs. */
export async function listJobsCommand(io: Io, options: JobsOptions): Promise<ExitCode> {
  const { status, waitingFor, type, dataset, limit } = options
  const includeUndone = options.undone ? 'true' : undefined
  const query = { status, waitingFor, type, dataset, includeUndone, limit }
  const jobs = await listJobs(await openApi(io), query)
  io.out(options.json ? JSON.stringify(jobs) : jobs.length === 0 ? 'No jobs found.' : jobTable(jobs))
  return EXIT.loaded
}

/** `aduana jobs <id>`: shows one job once, or follows it until it has ended. */
export async function showJobCommand(io: Io, id: string, options: JobsOptions): Promise<ExitCode> {
  const api = await openApi(io)
  const json = options.json === true
  if (!options.follow) return reportJob(io, api, await readJob(api, id), json)
  return reportJob(io, api, await waitForJob(io, api, id, json ? QUIET : createDisplay(io)), json)
}

/** `aduana cancel <id>`. */
export async function cancelCommand(io: Io, id: string, options: { json?: boolean }): Promise<ExitCode> {
  const job = await cancelJob(await openApi(io), id)
  const text = job.status === 'CANCELLED' ? 'cancelled' : 'being cancelled; this takes a few seconds'
  io.out(options.json ? JSON.stringify(job) : `job ${id}: ${text}`)
  return EXIT.loaded
}

/** `aduana retry <id>`. */
export async function retryCommand(io: Io, id: string, options: { json?: boolean }): Promise<ExitCode> {
  const job = await retryJob(await openApi(io), id)
  io.out(
    options.json
      ? JSON.stringify(job)
      : `job ${id}: being retried\nTo follow it: ${io.program} jobs ${id} --follow`,
  )
  return EXIT.loaded
}

/** Returns the status with its main fact: what the job waits for or does, why it failed, or its warnings. */
function statusOf(job: Job): string {
  const { status, waitingFor, stage, error, dryRun, warnings } = job
  const more = [
    waitingFor === null ? undefined : `waits for ${waitingFor}`,
    startOf(job),
    status === 'PROCESSING' && waitingFor === null ? stage : undefined,
    error?.code,
    dryRun ? 'dry run' : undefined,
    job.batchDeleted ? 'undone' : undefined,
    warnings.length > 0 ? counted(warnings.length, 'warning') : undefined,
  ].filter((part) => part !== undefined && part !== null)
  return more.length === 0 ? status : `${status} (${more.join(', ')})`
}

/** When a job begins that is to start later. */
function startOf({ status, parameters: { startAt } }: Job): string | undefined {
  if (status !== 'QUEUED' || typeof startAt !== 'string' || Date.parse(startAt) <= Date.now())
    return undefined
  return `from ${new Date(startAt).toISOString().slice(0, 16).replace('T', ' ')}`
}

function jobTable(jobs: readonly Job[]): string {
  const count = (value: number | null) => (value === null ? '' : figure(value))
  return renderTable(
    [
      { title: 'job' },
      { title: 'created (UTC)' },
      { title: 'type' },
      { title: 'dataset' },
      { title: 'status' },
      { title: '%', right: true },
      { title: 'records', right: true },
      { title: 'loaded', right: true },
      { title: 'quarantined', right: true },
      { title: 'file' },
    ],
    jobs.map((job) => [
      job.id,
      job.createdAt.slice(0, 19).replace('T', ' '),
      job.type,
      job.dataset ?? '',
      statusOf(job),
      String(Math.floor(job.progress)),
      count(job.counts.records),
      count(job.counts.loaded),
      count(job.counts.quarantined),
      shortened(String(job.parameters.fileName ?? ''), 40),
    ]),
  )
}
