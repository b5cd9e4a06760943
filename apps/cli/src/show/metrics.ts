import type { DayRange } from '@aduana/contracts/dates'
import { counted, figure } from '@aduana/contracts/figures'
import type { Metric, MetricItem, MetricValues } from '@aduana/contracts/metrics/http'
import type { AwaitedDataset, MetricRun } from '@aduana/contracts/metrics/http-runs'
import { renderTable, shortened } from './table.ts'

/** Shows metrics with their freshness. */
export function metricTable(metrics: readonly MetricItem[]): string {
  return renderTable(
    [
      { title: 'metric' },
      { title: 'title' },
      { title: 'unit' },
      { title: 'by' },
      { title: 'level', right: true },
      { title: 'last day' },
      { title: 'computed' },
      { title: 'in progress' },
    ],
    metrics.map(({ code, title, unit, grain, level, freshness, openRun }) => [
      code,
      shortened(title.en, 40),
      unit ?? '',
      grain,
      String(level),
      freshness.lastDay ?? '',
      minute(freshness.computedAt),
      openRun === null ? '' : [openRun.status, ...waits(openRun.waitsFor)].join(' '),
    ]),
  )
}

/** A metric: what it is, how fresh it is, what is outstanding, and values of it. */
export function renderMetric(metric: Metric, values: MetricValues): string {
  const { code, title, unit, freshness, completeness } = metric
  const head = `${code}: ${title.en}${unit === null ? '' : ` (${unit})`}`
  const state =
    freshness.lastDay === null
      ? 'No values, or none that you have access to.'
      : `${counted(freshness.days, 'day')} with values, ${freshness.firstDay} to ${freshness.lastDay}, last written ${minute(freshness.lastUpdated)}`
  const outstanding = completeness.outstanding.map((run) =>
    [`outstanding: ${run.metric} ${run.status}`, ...waits(run.waitsFor), run.error?.detail ?? '']
      .filter((part) => part !== '')
      .join(' '),
  )
  const changes = completeness.notPassedOn.map(
    ({ dataset, occurredAt }) =>
      `outstanding: a change of ${dataset} at ${minute(occurredAt)} has no run yet`,
  )
  return [[head, state, ...outstanding, ...changes].join('\n'), valueTable(values)]
    .filter((block) => block !== '')
    .join('\n\n')
}

function valueTable({ grain, items }: MetricValues): string {
  if (items.length === 0) return ''
  const cells = [
    ...(grain === 'total' ? [] : [{ title: 'company' }]),
    ...(grain === 'warehouse' ? [{ title: 'warehouse' }] : []),
  ]
  return renderTable(
    [{ title: 'day' }, ...cells, { title: 'value', right: true }, { title: 'written' }],
    items.map(({ date, company, warehouse, value, lastUpdated }) => [
      date,
      ...[company ?? '', warehouse ?? ''].slice(0, cells.length),
      value,
      minute(lastUpdated),
    ]),
  )
}

/** Runs, with what those that wait lack and why others failed. */
export function runTable(runs: readonly MetricRun[]): string {
  return renderTable(
    [
      { title: 'run' },
      { title: 'created' },
      { title: 'metric' },
      { title: 'status' },
      { title: 'cause' },
      { title: 'days' },
      { title: 'values', right: true },
      { title: 'why' },
    ],
    runs.map((run) => [
      run.id,
      minute(run.createdAt),
      run.metric,
      run.status,
      run.cause,
      daysOf(run.days),
      run.rowCount === null ? '' : figure(run.rowCount),
      shortened(run.error?.detail ?? [...waits(run.waitsFor), ...since(run.nextDays)].join('; '), 80),
    ]),
  )
}

/** The first day and the day after the last; `not shown` for a run that also concerns other companies. */
function daysOf(days: readonly DayRange[] | null): string {
  if (days === null) return 'not shown'
  const [first, last] = [days[0], days.at(-1)]
  return first && last ? `${first.from}..${last.to}` : ''
}

function since(days: readonly DayRange[] | null): string[] {
  if (days === null) return ['more days have changed since; the next run computes them']
  return days.length === 0 ? [] : [`${daysOf(days)} have changed since; the next run computes them`]
}

function waits(waitsFor: readonly AwaitedDataset[]): string[] {
  if (waitsFor.length === 0) return []
  const each = waitsFor.map(({ dataset, until }) =>
    until === null ? dataset : `${dataset} until ${minute(until)}`,
  )
  return [`waits for ${each.join(', ')}`]
}

function minute(instant: string | null): string {
  return instant?.slice(0, 16).replace('T', ' ') ?? ''
}
