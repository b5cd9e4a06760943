import { setTimeout as delay } from 'node:timers/promises'
import { createRandom, type Random } from '@aduana/testkit/random'
import { z } from 'zod'
import { type PlannedImport, planImport } from '../driver/files.ts'
import type { Responses } from './responses.ts'
import type { SupervisedApi } from './supervised-api.ts'

/** The load of a soak test over HTTP, until `ended` returns true. */
export interface Load {
  api: SupervisedApi
  responses: Responses
  /** The jobs whose files always fail. */
  alwaysFails: Set<string>
  ended(): boolean
  /** Returns the number of open jobs. */
  open(): Promise<number>
}

const Accepted = z.object({ id: z.uuid() })
const JobList = z.object({
  items: z.array(
    z.object({
      id: z.uuid(),
      type: z.string(),
      status: z.string(),
      waitingFor: z.string().nullable(),
      batchDeleted: z.boolean(),
      dryRun: z.boolean(),
    }),
  ),
})
type ListedJob = z.infer<typeof JobList>['items'][number]
const JSON_BODY = { 'content-type': 'application/json' }

/** Uploaders wait while this many jobs are open, so that the test does not depend on the speed of the machine. */
const MAX_OPEN = 100
/** More files than an uploader sends, so that no two uploaders send the same file. */
const FILES_OF_UPLOADER = 100_000

/** Uploads files of all datasets one after the other, `pace` milliseconds apart on average. `uploader` is a small integer. */
export async function upload(load: Load, seed: number, uploader: number, pace: number): Promise<void> {
  const random = createRandom(seed + uploader)
  for (let index = 0; !load.ended(); index += 1) {
    if ((await load.open()) > MAX_OPEN) {
      await delay(pace)
      continue
    }
    const planned = planImport(random, uploader * FILES_OF_UPLOADER + index)
    const accepted = Accepted.safeParse(await send(load, planned, moreFields(random, planned)))
    if (planned.alwaysFails && accepted.success) load.alwaysFails.add(accepted.data.id)
    await delay(random.int(0, 2 * pace))
  }
}

/** Returns form fields for dry runs, approvals, later start times and refused conflicts, at random. */
function moreFields(random: Random, { form }: PlannedImport): Record<string, string> {
  const kind = random.next()
  if (kind < 0.06) return { dryRun: 'true' }
  if (kind < 0.12) return { requireApproval: 'true' }
  if (kind < 0.2) return { startAt: new Date(Date.now() + random.int(1, 20) * 1000).toISOString() }
  // It holds its window for an hour, unless it is cancelled.
  if (kind < 0.23) return { startAt: new Date(Date.now() + 3_600_000).toISOString() }
  return form.onConflict === 'wait' && kind < 0.3 ? { onConflict: 'reject' } : {}
}

async function send(load: Load, { content, form }: PlannedImport, more: Record<string, string>) {
  const body = new FormData()
  for (const [name, value] of Object.entries({ ...form, ...more })) body.append(name, value)
  body.append('file', new Blob([content]), 'soak.csv')
  const response = await load.api.request('/api/imports', { method: 'POST', body })
  return load.responses.record('upload', response)
}

type Action = (load: Load, jobs: readonly ListedJob[], random: Random) => Promise<void>

/** Actions on jobs. Each picks a job in a suitable state. */
const ACTIONS: readonly Action[] = [
  (load, jobs, random) => act(load, random, jobs.filter(isOpen), 'cancel'),
  (load, jobs, random) => act(load, random, jobs.filter(isOpen), 'cancel'),
  (load, jobs, random) =>
    act(
      load,
      random,
      jobs.filter(({ id, status }) => status === 'FAILED' && !load.alwaysFails.has(id)),
      'retry',
    ),
  (load, jobs, random) =>
    act(
      load,
      random,
      jobs.filter(({ waitingFor }) => waitingFor === 'approval'),
      'approve',
      {},
    ),
  (load, jobs, random) => undo(load, random, jobs),
  (load, _, random) => reportUpdate(load, random),
]

/** Cancels, retries, approves, undoes and reports updates, at random. */
export async function actOnJobs(load: Load, seed: number, pace: number): Promise<void> {
  const random = createRandom(seed)
  while (!load.ended()) {
    const jobs = await listJobs(load)
    await random.pick(ACTIONS)(load, jobs, random)
    await delay(random.int(0, 2 * pace))
  }
}

/** Returns the newest jobs; none while the API is down. */
async function listJobs({ api, responses }: Load): Promise<ListedJob[]> {
  const body = await responses.record('list jobs', await api.request('/api/jobs?limit=100'))
  return JobList.safeParse(body).data?.items ?? []
}

const isOpen = ({ status }: ListedJob) => status === 'QUEUED' || status === 'PROCESSING'

async function act(
  { api, responses }: Load,
  random: Random,
  jobs: readonly ListedJob[],
  action: 'cancel' | 'retry' | 'approve' | 'undo',
  body?: object,
): Promise<void> {
  if (jobs.length === 0) return
  const given = body === undefined ? {} : { headers: JSON_BODY, body: JSON.stringify(body) }
  const { id } = random.pick(jobs)
  await responses.record(action, await api.request(`/api/jobs/${id}/${action}`, { method: 'POST', ...given }))
}

function undo(load: Load, random: Random, jobs: readonly ListedJob[]): Promise<void> {
  const loaded = jobs.filter(
    ({ type, status, batchDeleted, dryRun }) =>
      type === 'import' && status === 'COMPLETED' && !batchDeleted && !dryRun,
  )
  return act(load, random, loaded, 'undo', { unwind: random.chance(0.5) })
}

async function reportUpdate({ api, responses }: Load, random: Random): Promise<void> {
  const from = `2024-01-${random.int(10, 20)}`
  const update = {
    eventKey: `soak-${random.next()}`,
    dataset: random.pick(['production', 'orders', 'dkt']),
    occurredAt: new Date().toISOString(),
    days: [{ from, to: '2024-01-25' }],
    rows: random.int(1, 100),
  }
  const init = { method: 'POST', headers: JSON_BODY, body: JSON.stringify(update) }
  await responses.record('report update', await api.request('/api/projections', init))
}

/** Reads what users read: metrics with their values, runs, a job with its report. */
export async function readAtRandom(load: Load, seed: number, pace: number): Promise<void> {
  const random = createRandom(seed)
  while (!load.ended()) {
    const [job] = await listJobs(load)
    const path = random.pick([
      '/api/metrics?limit=50',
      '/api/metrics/production.pieces/values?from=2024-01-01&to=2024-03-01',
      '/api/runs?limit=50',
      '/api/datasets/production/windows',
      ...(job ? [`/api/jobs/${job.id}`, `/api/jobs/${job.id}/report`] : []),
    ])
    const request = `read ${path.replace(/\?.*|[0-9a-f]{8}-[0-9a-f-]+/g, '')}`
    await load.responses.record(request, await load.api.request(path))
    await delay(random.int(0, 2 * pace))
  }
}
