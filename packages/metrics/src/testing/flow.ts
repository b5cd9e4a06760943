import { randomUUID } from 'node:crypto'
import type { DayRange } from '@aduana/contracts/dates'
import type { MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import type { MetricRunCompleted, MetricRunRequest } from '@aduana/contracts/metrics/events'
import type { Expression } from '@aduana/contracts/metrics/expression'
import type { RunEventOutcome } from '@aduana/contracts/metrics/runs'
import { inTransaction, type Tx } from '@aduana/db/database'
import { reachOf } from '@aduana/metric-compute/expressions/reach'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { saveMetrics } from '../registry/metrics.ts'
import { saveSeries } from '../registry/series.ts'
import { readRunRequests } from '../requests/payload.ts'
import { completeRuns, startRuns } from '../runs/runner-events.ts'
import { type AcceptedUpdate, acceptProjectionUpdate } from '../updates/accept.ts'

/** The time of most updates in the tests. */
export const NOON = new Date('2026-03-10T12:00:00Z')
/** Returns the time a number of hours after (or before) `NOON`, as text. */
export const after = (hours: number) => new Date(NOON.getTime() + hours * 3_600_000).toISOString()
/** Returns one day as ranges. */
export const day = (from: string): DayRange[] => {
  const to = new Date(`${from}T00:00:00Z`)
  to.setUTCDate(to.getUTCDate() + 1)
  return [{ from, to: to.toISOString().slice(0, 10) }]
}

/** The fields of a test update; each has a default. */
export interface UpdateOf {
  key?: string
  at?: string
  days?: DayRange[]
  companies?: string[]
}

/** A database with series of three datasets, and the operations of the tests. */
export interface Flow extends TestDatabase {
  inTx<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** Saves metrics that sum series (named by their datasets) or other metrics, or that have the given definitions. */
  save(metrics: Record<string, readonly string[] | Partial<MetricDefinitionInput>>): Promise<void>
  update(dataset: string, of?: UpdateOf): Promise<AcceptedUpdate>
  /** Returns all runs of a metric, oldest first. */
  runs(code: string): Promise<RunRow[]>
  /** Returns the open run of a metric. @throws Error unless there is exactly one */
  open(code: string): Promise<RunRow>
  request(runId: string): Promise<MetricRunRequest>
  begin(runId: string): Promise<RunEventOutcome>
  finish(runId: string, change?: Partial<MetricRunCompleted>): Promise<RunEventOutcome>
  /** Starts and completes requested runs until there are none. Returns their metrics in order. */
  work(): Promise<string[]>
  /** Returns the codes of the datasets that a run waits for. */
  waitsFor(runId: string): Promise<string[]>
  /** Returns the types of the events of a run, in order. */
  events(runId: string): Promise<string[]>
}

/** A row of `metric_runs`. */
export interface RunRow {
  id: string
  status: string
  cause: string
  as_of: string
  days: string
  next_days: string | null
  companies: string[] | null
  attempt: number
  metric_version: number
  expires_at: Date | null
  taken_over_by: string | null
  error: Record<string, unknown> | null
  progress: string
  output_days: string | null
}

/** Returns the sum of metrics and series; a series is named by its dataset. */
export function sumOf(parts: readonly string[]): Expression {
  const of = parts.map(
    (part): Expression =>
      DATASETS.includes(part)
        ? { type: 'aggregate', op: 'count', series: `${part}.all` }
        : { type: 'metric', metric: part },
  )
  const [first] = of
  return of.length === 1 && first ? first : { type: 'arithmetic', op: 'add', of }
}

/** The datasets of the tests. */
export const DATASETS = ['production', 'orders', 'dkt']

/** Opens a test database for the flow of runs. */
export async function openFlow(): Promise<Flow> {
  const database = await createTestDatabase()
  const { db, pool } = database
  const inTx: Flow['inTx'] = (work) => inTransaction(db, work)
  await inTx(async (tx) => {
    for (const dataset of DATASETS)
      await saveSeries(
        tx,
        { code: `${dataset}.all`, title: { en: dataset, es: dataset }, dataset, column: null },
        null,
      )
  })
  const event = async (runId: string) => {
    const row = await pool.query('select attempt from metric_runs where id = $1', [runId])
    return { runId, attempt: Number(row.rows[0]?.attempt), at: new Date().toISOString() }
  }
  const runs: Flow['runs'] = async (code) =>
    (
      await pool.query<RunRow>(
        `select r.*, r.days::text as days, r.next_days::text as next_days, r.output_days::text as output_days
         from metric_runs r join metrics m on m.id = r.metric_id where m.code = $1 order by r.created_at, r.id`,
        [code],
      )
    ).rows
  const request: Flow['request'] = async (runId) => {
    const [found] = await readRunRequests(db, [runId])
    if (!found) throw new Error(`there is no run ${runId}`)
    return found
  }
  const finish: Flow['finish'] = async (runId, change = {}) => {
    const { days } = await request(runId)
    const done = { ...(await event(runId)), status: 'succeeded', rowCount: 1, days } as const
    return inTx(async (tx) => {
      const [outcome = 'duplicate'] = await completeRuns(tx, [{ ...done, ...change } as MetricRunCompleted])
      return outcome
    })
  }
  const begin: Flow['begin'] = async (runId) => {
    // The runner's clock is ahead; the clock of the database counts.
    const at = new Date(Date.now() + 60_000).toISOString()
    const started = { ...(await event(runId)), at, runner: 'test' }
    return inTx(async (tx) => (await startRuns(tx, [started]))[0] ?? 'duplicate')
  }
  return {
    ...database,
    inTx,
    save: async (metrics) => {
      const definitions = Object.entries(metrics).map(([code, of]) => ({
        code,
        title: { en: code, es: code },
        ...('length' in of ? { expression: sumOf(of as readonly string[]) } : of),
      }))
      await inTx((tx) => saveMetrics(tx, definitions, null))
    },
    update: (
      dataset,
      { key = randomUUID(), at = NOON.toISOString(), days = day('2026-03-09'), companies } = {},
    ) =>
      inTx((tx) =>
        acceptProjectionUpdate(
          tx,
          {
            eventKey: key,
            dataset,
            occurredAt: at,
            days,
            rows: 1,
            ...(companies ? { companies } : {}),
          },
          new Date(Math.max(Date.now(), Date.parse(at))),
        ),
      ),
    runs,
    open: async (code) => {
      const open = (await runs(code)).filter(({ status }) =>
        ['PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT'].includes(status),
      )
      const [run] = open
      if (!run || open.length > 1) throw new Error(`"${code}" has ${open.length} open runs`)
      return run
    },
    request,
    begin,
    finish,
    work: async () => {
      const order: string[] = []
      for (;;) {
        const asked = await pool.query<{ id: string }>(
          `select r.id from metric_runs r where r.status = 'REQUESTED' order by requested_at, id limit 1`,
        )
        const [run] = asked.rows
        if (!run) return order
        await begin(run.id)
        const { metric, expression, days } = await request(run.id)
        order.push(metric)
        await finish(run.id, { days: reachOf(expression).spread(days) } as Partial<MetricRunCompleted>)
      }
    },
    waitsFor: async (runId) =>
      (
        await pool.query<{ code: string }>(
          `select d.code from metric_run_pending_datasets p join datasets d on d.id = p.dataset_id
           where p.run_id = $1 and p.satisfied_by is null order by 1`,
          [runId],
        )
      ).rows.map(({ code }) => code),
    events: async (runId) =>
      (
        await pool.query<{ type: string }>(
          `select type from event_log where body ->> 'runId' = $1 or body -> 'data' ->> 'runId' = $1 order by id`,
          [runId],
        )
      ).rows.map(({ type }) => type),
  }
}
