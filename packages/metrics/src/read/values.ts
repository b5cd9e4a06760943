import type { Principal } from '@aduana/contracts/identity'
import { MetricValues, type ValueQuery } from '@aduana/contracts/metrics/http'
import { type Database, readAs } from '@aduana/db/database'
import { CursorColumn, decodeCursor, encodeCursor } from '@aduana/jobs/read/cursor'
import { sql } from 'kysely'
import { z } from 'zod'
import { completenessOf } from './completeness.ts'
import { findMetric } from './metrics.ts'
import { runWithinReader, textOf } from './sql.ts'

/** The cursor of a page of values: the last day, company and warehouse before it; empty text for none. */
export const CellCursor = z.tuple([CursorColumn.day, CursorColumn.text, CursorColumn.text])

interface Row {
  date: string
  company: string | null
  warehouse: string | null
  value: string
  last_updated: Date
  run_id: string | null
  as_of: string | null
}

/**
 * Returns the values of a metric that `principal` may see, ordered by day, company and warehouse, with their
 * completeness. Values that combine companies or warehouses are only for readers who may see all of them.
 * @throws ProblemError `unknown_metric`
 */
export function readValues(
  db: Database,
  principal: Principal,
  code: string,
  query: ValueQuery,
): Promise<MetricValues> {
  const [day, company, warehouse] =
    query.cursor === undefined ? [null, '', ''] : decodeCursor(CellCursor, query.cursor)
  return readAs(db, principal, async (tx) => {
    const metric = await findMetric(tx, principal, code)
    const asOf = await sql<{ now: Date }>`select now()`.execute(tx)
    // Read before the values: a run that ends in between is still listed, never the other way round.
    const completeness = await completenessOf(tx, principal, metric.id)
    const { rows } = await sql<Row>`
      select d.date, d.company, d.warehouse, trim_scale(d.value)::text as value, d.last_updated, d.run_id, case when ${runWithinReader} then r.as_of end as as_of
      from daily_metrics d left join metric_runs r on r.id = d.run_id
      where d.metric_name = ${code}
        and d.date >= coalesce(greatest(${query.from ?? null}::date, ${day}::date), '-infinity')
        and d.date < coalesce(${query.to ?? null}::date, 'infinity')
        and (${query.company ?? null}::text is null or d.company = ${query.company ?? null})
        and (${query.warehouse ?? null}::text is null or d.warehouse = ${query.warehouse ?? null})
        and (${query.updatedSince ?? null}::timestamptz is null or d.last_updated >= ${query.updatedSince ?? null})
        and (${day}::date is null
          or (d.date, coalesce(d.company, ''), coalesce(d.warehouse, '')) > (${day}::date, ${company}, ${warehouse}))
      order by d.date, coalesce(d.company, ''), coalesce(d.warehouse, '') limit ${query.limit + 1}`.execute(
      tx,
    )
    const shown = rows.slice(0, query.limit)
    const last = shown.at(-1)
    const more = rows.length > query.limit && last !== undefined
    return MetricValues.parse({
      metric: code,
      version: metric.version,
      unit: metric.definition.unit ?? null,
      grain: metric.definition.grain,
      asOf: textOf(asOf.rows[0]?.now ?? null),
      completeness,
      items: shown.map(({ last_updated, run_id, as_of, ...cell }) => ({
        ...cell,
        lastUpdated: last_updated.toISOString(),
        runId: run_id,
        asOf: as_of,
      })),
      next: more ? encodeCursor([last.date, last.company ?? '', last.warehouse ?? '']) : null,
    })
  })
}
