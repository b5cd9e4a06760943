import { SeriesDefinition } from '@aduana/contracts/metrics/definition'
import { ProblemError } from '@aduana/contracts/problems'
import { readDataset } from '@aduana/datasets/registry'
import { audit } from '@aduana/db/audit'
import type { Database, Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { ownGraph } from '../runs/locks.ts'

/**
 * Save a series. Its title and unit may change at any time; where it is, only while no metric names it.
 * @throws ProblemError `unknown_dataset`; `bad_request` for a column that the dataset does not have; `metric_in_use`
 */
export async function saveSeries(tx: Tx, input: SeriesDefinition, by: string | null): Promise<void> {
  await ownGraph(tx)
  await saveOne(tx, SeriesDefinition.parse(input), by)
}

/** Register the series that come with the program. */
export async function registerSeries(tx: Tx, shipped: readonly SeriesDefinition[]): Promise<void> {
  await ownGraph(tx)
  const known = new Map((await listSeries(tx)).map((series) => [series.code, JSON.stringify(series)]))
  for (const series of shipped)
    if (known.get(series.code) !== JSON.stringify(SeriesDefinition.parse(series)))
      await saveOne(tx, series, null)
}

async function saveOne(tx: Tx, series: SeriesDefinition, by: string | null): Promise<void> {
  const { code, column } = series
  const dataset = await readDataset(tx, series.dataset)
  if (column !== null && !dataset.definition.columns.some(({ name }) => name === column))
    throw new ProblemError('bad_request', `Dataset "${series.dataset}" has no column "${column}".`)
  await refuseMove(tx, series, dataset.id)
  const row = await tx
    .insertInto('series')
    .values({ code, title: JSON.stringify(series.title), unit: series.unit ?? null })
    .onConflict((conflict) =>
      conflict.column('code').doUpdateSet((excluded) => ({
        title: excluded.ref('excluded.title'),
        unit: excluded.ref('excluded.unit'),
        updated_at: sql<Date>`now()`,
      })),
    )
    .returning('id')
    .executeTakeFirstOrThrow()
  await tx.deleteFrom('dataset_series').where('series_id', '=', row.id).execute()
  await tx
    .insertInto('dataset_series')
    .values({ series_id: row.id, dataset_id: dataset.id, column_name: column })
    .execute()
  await audit(tx, { actor: by, action: 'series.save', subjectType: 'series', subjectId: code })
}

async function refuseMove(tx: Tx, { code, column }: SeriesDefinition, datasetId: string): Promise<void> {
  const rows = await sql<{ code: string }>`select distinct m.code
    from series s join dataset_series p on p.series_id = s.id join metric_dependencies d on d.series_id = s.id
      join metrics m on m.id = d.metric_id
    where s.code = ${code} and (p.dataset_id <> ${datasetId} or p.column_name is distinct from ${column})
    order by 1`.execute(tx)
  const metrics = rows.rows.map((row) => row.code)
  if (metrics.length === 0) return
  const detail = `The series "${code}" cannot move while ${metrics.join(', ')} name it. Make another series.`
  throw new ProblemError('metric_in_use', detail, { metrics })
}

/** All series, by code. */
export async function listSeries(db: Database | Tx): Promise<SeriesDefinition[]> {
  const rows = await db
    .selectFrom('series')
    .innerJoin('dataset_series', 'dataset_series.series_id', 'series.id')
    .innerJoin('datasets', 'datasets.id', 'dataset_series.dataset_id')
    .select(['series.code', 'series.title', 'series.unit', 'dataset_series.column_name as column'])
    .select('datasets.code as dataset')
    .orderBy('series.code')
    .execute()
  return rows.map(({ unit, ...row }) =>
    SeriesDefinition.parse({ ...row, ...(unit === null ? {} : { unit }) }),
  )
}
