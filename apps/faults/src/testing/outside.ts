import { isDeepStrictEqual } from 'node:util'
import type { MetricRunRequest } from '@aduana/contracts/metrics/events'
import {
  createOutsideSystem,
  type OutsideSystem,
  outsideMetric,
  type Result,
  twiceMetric,
} from '@aduana/testkit/outside'
import type { TestS3 } from '@aduana/testkit/s3'
import { until } from '@aduana/testkit/until'
import { brokenGuarantees } from '../guarantees.ts'
import { sample } from '../production-file.ts'

const WITHIN = 120_000
/** The shortest visibility that the settings allow: the messages of a dead worker are invisible for this long. */
const VISIBILITY = { ADUANA_SQS_VISIBILITY_SECONDS: '3' }

/** The results of an external run. */
export const RESULTS: readonly Result[] = [
  ['2024-01-01', '10.50'],
  ['2024-01-02', '-3'],
]
const VALUES = [
  { date: '2024-01-01', value: 10.5 },
  { date: '2024-01-02', value: -3 },
]

/** Creates an installation with an external runner. */
export async function openOutside(s3: TestS3): Promise<OutsideSystem> {
  return createOutsideSystem(s3, VISIBILITY)
}

/** Saves external metrics, each with one that Aduana computes from it. */
export async function saveOutside({ save }: OutsideSystem, codes: readonly string[]): Promise<void> {
  await save(...codes.map(outsideMetric), ...codes.map(twiceMetric))
}

/** Accepts a file of production. Its load causes runs of the dependent metrics. */
export function acceptProduction({ system }: OutsideSystem, tag: string): Promise<string> {
  return system.accept(sample(tag), { dataset: 'production' })
}

/**
 * Waits until everything has settled. Returns each difference from an installation without faults: values, imports,
 * requests and endings that are missing or duplicated.
 */
export async function wrongOutside(
  { system, messaging }: OutsideSystem,
  requests: readonly MetricRunRequest[],
): Promise<string[]> {
  const { pool } = system.database
  await until(
    async () =>
      (await pool.query(UNFINISHED)).rowCount === 0 && (await messaging.size(messaging.queueUrl)) === 0,
    { within: WITHIN, what: 'the runs have ended, and the queue is empty' },
  ).catch(async (error: unknown) => {
    const rows = await pool.query(UNFINISHED)
    const lines = system.processes().flatMap((process) => process.lines.slice(-20))
    throw new Error([...rows.rows.map((row) => JSON.stringify(row)), ...lines].join('\n'), { cause: error })
  })
  const wrong: string[] = []
  for (const { runId, metric } of requests) {
    const run = await pool.query(RUN, [runId])
    if (!isDeepStrictEqual(run.rows, [{ status: 'SUCCEEDED', imports: 1, rows: 2, ends: 1 }]))
      wrong.push(`run of ${metric}: ${JSON.stringify(run.rows)}`)
    for (const [code, times] of [
      [metric, 1],
      [`${metric}_twice`, 2],
    ] as const) {
      const { rows } = await pool.query(
        'select date::text, value::float from daily_metrics where metric_name = $1 order by 1',
        [code],
      )
      const wanted = VALUES.map(({ date, value }) => ({ date, value: value * times }))
      if (!isDeepStrictEqual(rows, wanted)) wrong.push(`values of ${code}: ${JSON.stringify(rows)}`)
    }
  }
  const unsuccessful = await pool.query(`select id, status from metric_runs where status <> 'SUCCEEDED'`)
  wrong.push(...unsuccessful.rows.map((row) => JSON.stringify(row)))
  return [...wrong, ...(await brokenGuarantees(pool, system.store))]
}

/** Unfinished runs, events and jobs. */
const UNFINISHED = `select 'run' as what, id::text, status, error::text from metric_runs
    where status in ('PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT')
  union all select 'event', event_key, send_attempts::text, send_error from event_log where outbound and sent_at is null
  union all select 'job', id::text, status, message from jobs where completed_at is null`

const RUN = `select r.status,
    (select count(*)::int from imports i where i.manifest ->> 'runId' = r.id::text) as imports,
    (select count(*)::int from metric_result m join imports i on i.manifest ->> 'runId' = r.id::text
      and m.id >> 32 = i.import_no) as rows,
    (select count(*)::int from event_log e where e.type = 'metric_run.succeeded' and e.body ->> 'runId' = r.id::text) as ends
  from metric_runs r where r.id = $1`
