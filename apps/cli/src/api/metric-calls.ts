import { page } from '@aduana/contracts/jobs'
import { Metric, MetricItem, MetricValues, SavedMetric, Series } from '@aduana/contracts/metrics/http'
import { MetricRun, RunAccepted } from '@aduana/contracts/metrics/http-runs'
import { z } from 'zod'
import { type Api, get, post, put } from './api.ts'
import { collect, ifVersion, search } from './calls.ts'

const MetricPage = page(MetricItem)
const RunPage = page(MetricRun)

/** Which values of a metric. `to` is the first day after the range. */
export interface ValueRange {
  from?: string | undefined
  to?: string | undefined
  company?: string | undefined
  warehouse?: string | undefined
}

/** Returns the metrics by code. */
export function listMetrics(api: Api, tab: string | undefined): Promise<MetricItem[]> {
  return collect(Number.POSITIVE_INFINITY, 500, (cursor, size) =>
    get(api, `/api/metrics${search({ tab, cursor, limit: String(size) })}`, MetricPage),
  )
}

/** Returns a metric in detail. */
export function readMetric(api: Api, code: string): Promise<Metric> {
  return get(api, `/api/metrics/${encodeURIComponent(code)}`, Metric)
}

/** Saves a definition as the next version of a metric; with `seen` only if that is the current version. */
export function saveMetric(
  api: Api,
  code: string,
  definition: unknown,
  seen?: number,
): Promise<z.infer<typeof SavedMetric>> {
  return put(api, `/api/metrics/${encodeURIComponent(code)}`, SavedMetric, definition, ifVersion(seen))
}

/** Returns the series by code. */
export async function listSeries(api: Api): Promise<Series[]> {
  return (await get(api, '/api/series', z.object({ items: z.array(Series) }))).items
}

/** Saves a definition as the next version of a series; with `seen` only if that is the current version. */
export function saveSeries(api: Api, code: string, definition: unknown, seen?: number): Promise<Series> {
  return put(api, `/api/series/${encodeURIComponent(code)}`, Series, definition, ifVersion(seen))
}

/** Returns values of a metric by day, at most `limit`, with the metric. */
export async function readValues(
  api: Api,
  code: string,
  range: ValueRange,
  limit: number,
): Promise<MetricValues> {
  let first: MetricValues | undefined
  const items = await collect(limit, 10_000, async (cursor, size) => {
    const path = `/api/metrics/${encodeURIComponent(code)}/values`
    const answer = await get(api, `${path}${search({ ...range, cursor, limit: String(size) })}`, MetricValues)
    first ??= answer
    return answer
  })
  if (!first) throw new Error('a list without a first page')
  return { ...first, items }
}

/** Returns runs, newest first, at most `limit`. */
export function listRuns(
  api: Api,
  query: { status?: string | undefined; metric?: string | undefined; limit: number },
): Promise<MetricRun[]> {
  const { limit, ...filter } = query
  return collect(limit, 500, (cursor, size) =>
    get(api, `/api/runs${search({ ...filter, cursor, limit: String(size) })}`, RunPage),
  )
}

/** Recomputes a range of days. Returns the run. */
export function recompute(api: Api, code: string, range: { from: string; to: string }): Promise<RunAccepted> {
  return post(api, `/api/metrics/${encodeURIComponent(code)}/recompute`, RunAccepted, range)
}
