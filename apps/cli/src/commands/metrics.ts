import { addDays } from '@aduana/contracts/dates'
import {
  listMetrics,
  listRuns,
  readMetric,
  readValues,
  recompute,
  saveMetric,
  type ValueRange,
} from '../api/metric-calls.ts'
import { UsageError } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { metricTable, renderMetric, runTable } from '../show/metrics.ts'
import { type SaveOptions, saveDefinition } from './definition-file.ts'

/** Default number of days: the last ones with values. */
const USUAL_DAYS = 14

export interface MetricsOptions extends ValueRange {
  tab?: string
  definition?: boolean
  limit: number
  json?: boolean
}

export interface RunsOptions {
  status?: string
  metric?: string
  limit: number
  json?: boolean
}

export interface RecomputeOptions {
  from: string
  to: string
  json?: boolean
}

/** `aduana metrics`: all metrics. */
export async function listMetricsCommand(io: Io, options: MetricsOptions): Promise<ExitCode> {
  const metrics = await listMetrics(await openApi(io), options.tab)
  const text = metrics.length === 0 ? 'No metrics found.' : metricTable(metrics)
  io.out(options.json ? JSON.stringify(metrics) : text)
  return EXIT.loaded
}

/** `aduana metrics <code>`: one metric with its values. */
export async function showMetricCommand(io: Io, code: string, options: MetricsOptions): Promise<ExitCode> {
  const api = await openApi(io)
  const metric = await readMetric(api, code)
  if (options.definition) {
    if (!metric.definition)
      throw new UsageError(
        `The definition of ${code} is not shown, because it uses metrics that you have no access to. Ask an admin.`,
      )
    io.out(JSON.stringify(metric.definition, null, 2))
    return EXIT.loaded
  }
  const { from = usualFrom(metric.freshness.lastDay, options.to), to, company, warehouse } = options
  const values = await readValues(api, code, { from, to, company, warehouse }, options.limit)
  io.out(options.json ? JSON.stringify({ metric, values }) : renderMetric(metric, values))
  return EXIT.loaded
}

/** `aduana metric save <file>`: make the definition in a file the next version of its metric. */
export function saveMetricCommand(io: Io, file: string, options: SaveOptions): Promise<ExitCode> {
  return saveDefinition(io, file, options, saveMetric)
}

/** `aduana runs`: the newest runs. */
export async function listRunsCommand(io: Io, options: RunsOptions): Promise<ExitCode> {
  const { status, metric, limit } = options
  const runs = await listRuns(await openApi(io), { status, metric, limit })
  io.out(options.json ? JSON.stringify(runs) : runs.length === 0 ? 'No runs found.' : runTable(runs))
  return EXIT.loaded
}

/** `aduana recompute <code>`: have a range of days computed anew. */
export async function recomputeCommand(io: Io, code: string, options: RecomputeOptions): Promise<ExitCode> {
  const { from, to } = options
  const run = await recompute(await openApi(io), code, { from, to })
  io.out(options.json ? JSON.stringify(run) : `run ${run.id}: ${run.status}`)
  return EXIT.loaded
}

function usualFrom(lastDay: string | null, to: string | undefined): string | undefined {
  const end = to ?? (lastDay === null ? undefined : addDays(lastDay, 1))
  return end === undefined ? undefined : addDays(end, -USUAL_DAYS)
}
