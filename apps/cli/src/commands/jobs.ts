import type { Job } from '@aduana/contracts/jobs'
import { cancelJob, listJobs, readJob, retryJob } from '../api/calls.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { createDisplay, QUIET } from '../show/display.ts'
import { formatCount } from '../show/figures.ts'
import { renderTable, shortened } from '../show/table.ts'
import { reportJob, waitForJob } from './wait.ts'

export interface JobsOptions {
  status?: string
  waitingFor?: string
  dataset?: string
  limit: number
  follow?: boolean
  json?: boolean
}

/** `aduana jobs`: the newest jobs. */
export async function listJobsCommand(io: Io, options: JobsOptions): Promise<ExitCode> {
  const { status, waitingFor, dataset, limit } = options
  const jobs = await listJobs(await openApi(io), { status, waitingFor, dataset, limit })
  io.out(options.json ? JSON.stringify(jobs) : jobs.length === 0 ? 'There are no such jobs.' : jobTable(jobs))
  return EXIT.loaded
}

/** `aduana jobs <id>`: one job, as it stands or until it has ended. */
export async function showJobCommand(io: Io, id: string, options: JobsOptions): Promise<ExitCode> {
  const api = await openApi(io)
  const json = options.json === true
  if (!options.follow) return reportJob(io, api, await readJob(api, id), json)
  return reportJob(io, api, await waitForJob(io, api, id, json ? QUIET : createDisplay(io)), json)
}

/** `aduana cancel <id>`. */
export async function cancelCommand(io: Io, id: string, options: { json?: boolean }): Promise<ExitCode> {
  const job = await cancelJob(await openApi(io), id)
  const text = job.status === 'CANCELLED' ? 'cancelled' : 'asked to stop; it will within some seconds'
  io.out(options.json ? JSON.stringify(job) : `job ${id}: ${text}`)
  return EXIT.loaded
}

/** `aduana retry <id>`. */
export async function retryCommand(io: Io, id: string, options: { json?: boolean }): Promise<ExitCode> {
  const job = await retryJob(await openApi(io), id)
  io.out(
    options.json ? JSON.stringify(job) : `job ${id}: is tried again; aduana jobs ${id} --follow shows how`,
  )
  return EXIT.loaded
}

function statusOf(job: Job): string {
  const more = job.waitingFor ?? (job.dryRun ? 'dry run' : undefined)
  return more === undefined ? job.status : `${job.status} (${more})`
}

function jobTable(jobs: readonly Job[]): string {
  const count = (value: number | null) => (value === null ? '' : formatCount(value))
  return renderTable(
    [
      { title: 'job' },
      { title: 'created' },
      { title: 'dataset' },
      { title: 'status' },
      { title: 'stage' },
      { title: '%', right: true },
      { title: 'records', right: true },
      { title: 'loaded', right: true },
      { title: 'quarantined', right: true },
      { title: 'file' },
    ],
    jobs.map((job) => [
      job.id,
      job.createdAt.slice(0, 19).replace('T', ' '),
      job.dataset ?? job.type,
      statusOf(job),
      job.stage ?? '',
      String(Math.floor(job.progress)),
      count(job.counts.records),
      count(job.counts.loaded),
      count(job.counts.quarantined),
      shortened(String(job.parameters.fileName ?? ''), 40),
    ]),
  )
}
