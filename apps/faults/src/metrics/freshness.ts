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

/** A value that is not the one of the tables; null where there is none. */
export interface Difference {
  metric: string
  date: string
  company: string
  warehouse: string
  wanted: string | null
  stored: string | null
}

type Compared = Difference & { id: string | null; level: number | null }

/** Compares all that is stored with SQL that was written by hand. */
export interface Freshness {
  /** Every value that is missing, too much or another one. */
  differences(): Promise<Difference[]>
  /**
   * Metrics that have such a value and do not say why, with the days; all of it seen at one moment. What is computed
   * from the rows of a day alone has to name that day.
   */
  unexplained(): Promise<string[]>
  close(): Promise<void>
}

/** What the values of some metrics should be: the name of a file beside this one. */
export type Wanted = 'shipped' | 'scenario'

/** `wanted` says what should be there: together, all that is stored. */
export async function openFreshness(system: TestSystem, wanted: readonly Wanted[]): Promise<Freshness> {
  // Also when this file has been compiled: SQL has not.
  const texts = await Promise.all(
    wanted.map((name) => readFile(new URL(`../../src/metrics/${name}.sql`, import.meta.url), 'utf8')),
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
    unexplained: async () => {
      for (;;) {
        const { complaints, partitions } = await read(async (tx) => ({
          complaints: await complaintsOf(tx, (await query.execute(tx)).rows, system.admin),
          partitions: (await PARTITIONS.execute(tx)).rows,
        }))
        if (isDeepStrictEqual(partitions, (await PARTITIONS.execute(system.database.db)).rows))
          return complaints
      }
    },
    close: () => pool.end(),
  }
}

/**
 * A partition that is attached after a snapshot was taken is read with it, but the update that tells of its rows is not:
 * then the moment has to be another one.
 */
const PARTITIONS = sql<{ id: string }>`select inhrelid::text as id from pg_inherits order by inhrelid`

async function complaintsOf(tx: ReadTx, found: readonly Compared[], reader: Principal): Promise<string[]> {
  const complaints: string[] = []
  for (const [metric, [first, ...rest]] of groupBy(found, ({ metric }) => metric)) {
    if (!first) continue
    const days = [first, ...rest].map(({ date }) => date)
    const unsaid = first.id === null ? days : await unsaidDays(tx, reader, first.id, first.level ?? 0, days)
    if (unsaid.length > 0) complaints.push(`${metric} on ${unsaid.length} days, first ${unsaid[0]}`)
  }
  return complaints
}

async function unsaidDays(
  tx: ReadTx,
  reader: Principal,
  metricId: string,
  level: number,
  days: string[],
): Promise<string[]> {
  const { complete, outstanding, notPassedOn } = await completenessOf(tx, reader, metricId)
  if (complete) return days
  if (level > 0) return []
  const said: DayRange[] = [...outstanding, ...notPassedOn].flatMap((reason) => reason.days ?? [])
  return days.filter((day) => !said.some(({ from, to }) => from <= day && day < to))
}

const compared = (texts: readonly string[]) => `
  with wanted as (${texts.map((text) => `select * from (${text}) w`).join(' union all ')}),
  stored as (select metric_name::text as metric, date, company, warehouse, value from daily_metrics)
  select m.id, m.level, metric, date::text, coalesce(w.company, s.company, '') as company,
    coalesce(w.warehouse, s.warehouse, '') as warehouse, w.value::text as wanted, s.value::text as stored
  from (select *, concat_ws('|', company, warehouse) as cell from wanted) w
    full join (select *, concat_ws('|', company, warehouse) as cell from stored) s using (metric, date, cell)
    left join metrics m on m.code = metric
  where w.value is null or s.value is null or abs(w.value - s.value) > 1e-9 * greatest(1, abs(w.value))
  order by m.level, metric, date`
