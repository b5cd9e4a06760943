import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import type { DayRange } from '@aduana/contracts/dates'
import type { Principal } from '@aduana/contracts/identity'
import { createDatabase, type ReadTx, readAs } from '@aduana/db/database'
import { groupBy } from '@aduana/metric-compute/group-by'
import { completenessOf } from '@aduana/metrics/read/completeness'
import type { TestSystem } from '@aduana/testkit/system'
import { sql } from 'kysely'
import pg from 'pg'

/** A metric value that differs from the one computed by SQL; null where there is none. */
export interface Difference {
  metric: string
  date: string
  company: string
  warehouse: string
  expected: string | null
  stored: string | null
}

type Compared = Difference & { id: string | null; level: number | null }

/** Compares all stored values with hand-written SQL. */
export interface MetricOracle {
  /** Returns every missing, unexpected and wrong value. */
  differences(): Promise<Difference[]>
  /**
   * Returns metrics with such a value that are not reported as incomplete, with the days, all in one snapshot. A metric that
   * is computed from the rows of single days must report exactly those days.
   */
  unreported(): Promise<string[]>
  close(): Promise<void>
}

/** The name of an SQL file in this folder that computes expected values. */
export type Expectation = 'shipped' | 'scenario'

/** Opens an oracle. The files of `expected` together compute all stored values. */
export async function openMetricOracle(
  system: TestSystem,
  expected: readonly Expectation[],
): Promise<MetricOracle> {
  // SQL is not copied when this file is compiled.
  const texts = await Promise.all(
    expected.map((name) => readFile(new URL(`../../src/metrics/${name}.sql`, import.meta.url), 'utf8')),
  )
  const query = sql<Compared>`${sql.raw(compared(texts))}`
  const pool = new pg.Pool({
    connectionString: system.database.url,
    max: 1,
    options: '-c default_transaction_isolation=repeatable\\ read -c timezone=UTC -c jit=off',
  })
  // The server may be restarted by the test.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  const db = createDatabase(pool)
  const read = <T>(work: (tx: ReadTx) => Promise<T>) => readAs(db, system.admin, work)
  return {
    differences: () => read(async (tx) => (await query.execute(tx)).rows),
    unreported: async () => {
      for (;;) {
        const { unreported, partitions } = await read(async (tx) => ({
          unreported: await unreportedOf(tx, (await query.execute(tx)).rows, system.admin),
          partitions: (await PARTITIONS.execute(tx)).rows,
        }))
        if (isDeepStrictEqual(partitions, (await PARTITIONS.execute(system.database.db)).rows))
          return unreported
      }
    },
    close: () => pool.end(),
  }
}

/**
 * A snapshot sees a partition that is attached later, but not the update of its rows. Then another snapshot is taken.
 */
const PARTITIONS = sql<{ id: string }>`select inhrelid::text as id from pg_inherits order by inhrelid`

async function unreportedOf(tx: ReadTx, found: readonly Compared[], reader: Principal): Promise<string[]> {
  const unreported: string[] = []
  for (const [metric, [first, ...rest]] of groupBy(found, ({ metric }) => metric)) {
    if (!first) continue
    const days = [first, ...rest].map(({ date }) => date)
    const unreportedOfMetric =
      first.id === null ? days : await unreportedDays(tx, reader, first.id, first.level ?? 0, days)
    if (unreportedOfMetric.length > 0)
      unreported.push(`${metric} on ${unreportedOfMetric.length} days, first ${unreportedOfMetric[0]}`)
  }
  return unreported
}

async function unreportedDays(
  tx: ReadTx,
  reader: Principal,
  metricId: string,
  level: number,
  days: string[],
): Promise<string[]> {
  const { complete, outstanding, notPassedOn } = await completenessOf(tx, reader, metricId)
  if (complete) return days
  if (level > 0) return []
  const reported: DayRange[] = [...outstanding, ...notPassedOn].flatMap((reason) => reason.days ?? [])
  return days.filter((day) => !reported.some(({ from, to }) => from <= day && day < to))
}

const compared = (texts: readonly string[]) => `
  with expected as (${texts.map((text) => `select * from (${text}) w`).join(' union all ')}),
  stored as (select metric_name::text as metric, date, company, warehouse, value from daily_metrics)
  select m.id, m.level, metric, date::text, coalesce(w.company, s.company, '') as company,
    coalesce(w.warehouse, s.warehouse, '') as warehouse, w.value::text as expected, s.value::text as stored
  from (select *, concat_ws('|', company, warehouse) as cell from expected) w
    full join (select *, concat_ws('|', company, warehouse) as cell from stored) s using (metric, date, cell)
    left join metrics m on m.code = metric
  where w.value is null or s.value is null or abs(w.value - s.value) > 1e-9 * greatest(1, abs(w.value))
  order by m.level, metric, date`
