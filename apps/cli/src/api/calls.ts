import { LoadMode } from '@aduana/contracts/dataset-definition'
import { Dataset, SavedDataset } from '@aduana/contracts/datasets'
import { LoginResponse } from '@aduana/contracts/identity'
import { Job, JobAccepted, page } from '@aduana/contracts/jobs'
import { JobPreview } from '@aduana/contracts/load-preview'
import { type FileLayout, type Reject, RejectPage } from '@aduana/contracts/rejects'
import { LedgerDay } from '@aduana/contracts/window-ledger'
import { z } from 'zod'
import { type Api, get, post, put } from './api.ts'

const JobPage = page(Job)

/** Why records of a job were rejected: how many for each reason, with the message and the line of one as an example. */
export const ReasonGroup = z.object({
  column: z.string().nullable(),
  code: z.string(),
  rejects: z.int(),
  example: z.string(),
  line: z.int().nullable(),
})
export type ReasonGroup = z.infer<typeof ReasonGroup>

/** The report of a job. */
export const JobReport = z.object({
  seconds: z.number().nullable(),
  rowsPerSecond: z.number().nullable(),
  rejects: z.array(ReasonGroup),
})
export type JobReport = z.infer<typeof JobReport>

const DatasetList = z.object({
  items: z.array(
    z.object({
      code: z.string(),
      version: z.int(),
      title: z.object({ en: z.string(), es: z.string() }),
      loadMode: LoadMode,
    }),
  ),
})
export type DatasetItem = z.infer<typeof DatasetList>['items'][number]

/** Logs in with e-mail and password. */
export function login(api: Api, email: string, password: string): Promise<LoginResponse> {
  return post(api, '/api/auth/login', LoginResponse, { email, password })
}

/** Ends the session of the token. */
export async function logout(api: Api): Promise<void> {
  await post(api, '/api/auth/logout', z.undefined())
}

/** Changes the password of the logged-in user. Returns a new login. */
export function changePassword(api: Api, current: string, next: string): Promise<LoginResponse> {
  return post(api, '/api/auth/password', LoginResponse, { current, new: next })
}

/** Returns a job. */
export function readJob(api: Api, id: string): Promise<Job> {
  return get(api, `/api/jobs/${encodeURIComponent(id)}`, Job)
}

/** Returns jobs, newest first, at most `limit`. */
export async function listJobs(
  api: Api,
  query: {
    status?: string | undefined
    waitingFor?: string | undefined
    type?: string | undefined
    includeUndone?: string | undefined
    dataset?: string | undefined
    limit: number
  },
): Promise<Job[]> {
  const { limit, ...filter } = query
  return collect(limit, 500, (cursor, size) =>
    get(api, `/api/jobs${search({ ...filter, cursor, limit: String(size) })}`, JobPage),
  )
}

/** Cancels a job. Returns its new state. */
export function cancelJob(api: Api, id: string): Promise<Job> {
  return post(api, `/api/jobs/${encodeURIComponent(id)}/cancel`, Job)
}

/** Retries a failed job from the stage that failed. Returns its new state. */
export function retryJob(api: Api, id: string): Promise<Job> {
  return post(api, `/api/jobs/${encodeURIComponent(id)}/retry`, Job)
}

/** Undoes an import. Returns the undo job. */
export function undoImport(api: Api, id: string, request: { unwind: boolean }): Promise<JobAccepted> {
  return post(api, `/api/jobs/${encodeURIComponent(id)}/undo`, JobAccepted, request)
}

/** Returns the preview of a job. */
export function readPreview(api: Api, id: string): Promise<JobPreview> {
  return get(api, `/api/jobs/${encodeURIComponent(id)}/preview`, JobPreview)
}

/** Approves the preview with this basis, or the current one. */
export function approveJob(api: Api, id: string, basis: string | undefined): Promise<Job> {
  return post(api, `/api/jobs/${encodeURIComponent(id)}/approve`, Job, basis === undefined ? {} : { basis })
}

/** The rejects of a job in the order of the file, at most `limit`, and how their file was read. */
export async function listRejects(
  api: Api,
  jobId: string,
  limit: number,
): Promise<{ rejects: Reject[]; file: FileLayout | null }> {
  let file: FileLayout | null = null
  const rejects = await collect(limit, 500, async (cursor, size) => {
    const query = search({ cursor, limit: String(size) })
    const answer = await get(api, `/api/jobs/${encodeURIComponent(jobId)}/rejects${query}`, RejectPage)
    file = answer.file
    return answer
  })
  return { rejects, file }
}

/** How a job went: its speed and the most frequent reasons of its rejects. */
export function readReport(api: Api, jobId: string): Promise<JobReport> {
  return get(api, `/api/jobs/${encodeURIComponent(jobId)}/report`, JobReport)
}

/** Returns the datasets. */
export async function listDatasets(api: Api): Promise<DatasetItem[]> {
  return (await get(api, '/api/datasets', DatasetList)).items
}

/** Returns a dataset with its definition. */
export function readDataset(api: Api, code: string): Promise<Dataset> {
  return get(api, `/api/datasets/${encodeURIComponent(code)}`, Dataset)
}

/** Saves a definition as the next version of a dataset; with `seen` only if that is the current version. */
export function saveDataset(
  api: Api,
  code: string,
  definition: unknown,
  seen?: number,
): Promise<SavedDataset> {
  return put(api, `/api/datasets/${encodeURIComponent(code)}`, SavedDataset, definition, ifVersion(seen))
}

/** Returns the header that allows a change only if this is the current version. */
export function ifVersion(seen: number | undefined): Record<string, string> {
  return seen === undefined ? {} : { 'if-match': `"${seen}"` }
}

/** The state of each day of a dataset. `to` is the first day after the range. */
export async function readWindows(
  api: Api,
  dataset: string,
  query: { from?: string | undefined; to?: string | undefined; scope?: string | undefined },
): Promise<LedgerDay[]> {
  const path = `/api/datasets/${encodeURIComponent(dataset)}/windows${search(query)}`
  return (await get(api, path, z.object({ items: z.array(LedgerDay) }))).items
}

/** Reads pages of a list until there are `limit` items or no more. */
export async function collect<T>(
  limit: number,
  pageSize: number,
  read: (cursor: string | undefined, size: number) => Promise<{ items: T[]; next: string | null }>,
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  do {
    const answer = await read(cursor, Math.min(pageSize, limit - items.length))
    items.push(...answer.items)
    cursor = answer.next ?? undefined
  } while (cursor !== undefined && items.length < limit)
  return items
}

/** Returns the query string of the defined values. */
export function search(query: Record<string, string | undefined>): string {
  const given = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  )
  return `?${new URLSearchParams(given)}`
}
