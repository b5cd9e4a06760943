import { SeriesDefinition } from '@aduana/contracts/metrics/definition'
import type { Series } from '@aduana/contracts/metrics/http'
import { ProblemError } from '@aduana/contracts/problems'
import { requireVersion } from '@aduana/contracts/versions'
import { readDataset } from '@aduana/datasets/registry'
import { audit } from '@aduana/db/audit'
import type { Database, Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { logEvents } from '../runs/event-log.ts'
import { lockGraphExclusive } from '../runs/locks.ts'
import { shaOf } from './write.ts'

/** A saved series. */
export interface SavedSeries {
  code: string
  version: number
  /** False when the definition was already current. */
  changed: boolean
}

/**
 * Saves a series as its next version if it differs from the current one. Its title and unit may change at any time,
 * its place only while no metric uses it. With `expectedVersion`, only if that is its current version; a definition
 * that is already current succeeds regardless.
 * @throws ProblemError `unknown_dataset`; `bad_request` for a column that files of the dataset do not contain;
 * `metric_in_use`; `version_changed`
 */
export async function saveSeries(
  tx: Tx,
  input: SeriesDefinition,
  by: string | null,
  expectedVersion?: number,
): Promise<SavedSeries> {
  await lockGraphExclusive(tx)
  const series = SeriesDefinition.parse(input)
  const known = await readCurrent(tx, series.code)
  if (known?.sha256 !== shaOf(series)) requireVersion('series', expectedVersion, known?.version)
  return saveOne(tx, series, known, by)
}

/** Registers shipped series. A series that a user has changed is not touched. */
export async function registerSeries(tx: Tx, shipped: readonly SeriesDefinition[]): Promise<void> {
  await lockGraphExclusive(tx)
  for (const series of shipped) {
    const known = await readCurrent(tx, series.code)
    if (!known || known.createdBy === null) await saveOne(tx, SeriesDefinition.parse(series), known, null)
  }
}

interface CurrentSeries {
  id: string
  version: number
  sha256: string
  createdBy: string | null
}

function readCurrent(tx: Tx, code: string): Promise<CurrentSeries | undefined> {
  return tx
    .selectFrom('series')
    .innerJoin('series_versions', (join) =>
      join
        .onRef('series_versions.series_id', '=', 'series.id')
        .onRef('series_versions.version', '=', 'series.current_version'),
    )
    .select(['series.id', 'series.current_version as version', 'series_versions.created_by as createdBy'])
    .select('series_versions.definition_sha256 as sha256')
    .where('series.code', '=', code)
    .executeTakeFirst()
}

async function saveOne(
  tx: Tx,
  series: SeriesDefinition,
  known: CurrentSeries | undefined,
  by: string | null,
): Promise<SavedSeries> {
  const { code, column } = series
  if (known?.sha256 === shaOf(series)) return { code, version: known.version, changed: false }
  const dataset = await readDataset(tx, series.dataset)
  const isLoaded = dataset.definition.columns.some(({ name, managed }) => name === column && !managed)
  if (column !== null && !isLoaded)
    throw new ProblemError(
      'bad_request',
      `The dataset "${series.dataset}" has no column "${column}" that is read from files.`,
    )
  await assertNotMoved(tx, series, dataset.id)
  const version = (known?.version ?? 0) + 1
  const id = await writeSeries(tx, series, version)
  await tx
    .insertInto('series_versions')
    .values({
      series_id: id,
      version,
      definition: JSON.stringify(series),
      definition_sha256: shaOf(series),
      created_by: by,
    })
    .execute()
  await tx.deleteFrom('dataset_series').where('series_id', '=', id).execute()
  await tx
    .insertInto('dataset_series')
    .values({ series_id: id, dataset_id: dataset.id, column_name: column })
    .execute()
  await logEvents(tx, [
    { key: `${id}:saved:${version}`, event: { type: 'series.saved', series: code, version } },
  ])
  await audit(tx, {
    actor: by,
    action: 'series.save',
    subjectType: 'series',
    subjectId: code,
    details: { version },
  })
  return { code, version, changed: true }
}

async function writeSeries(
  tx: Tx,
  { code, title, unit }: SeriesDefinition,
  version: number,
): Promise<string> {
  const row = await tx
    .insertInto('series')
    .values({ code, title: JSON.stringify(title), unit: unit ?? null, current_version: version })
    .onConflict((conflict) =>
      conflict.column('code').doUpdateSet((excluded) => ({
        title: excluded.ref('excluded.title'),
        unit: excluded.ref('excluded.unit'),
        current_version: excluded.ref('excluded.current_version'),
        updated_at: sql<Date>`now()`,
      })),
    )
    .returning('id')
    .executeTakeFirstOrThrow()
  return row.id
}

async function assertNotMoved(tx: Tx, { code, column }: SeriesDefinition, datasetId: string): Promise<void> {
  const rows = await sql<{ code: string }>`select distinct m.code
    from series s join dataset_series p on p.series_id = s.id join metric_dependencies d on d.series_id = s.id
      join metrics m on m.id = d.metric_id
    where s.code = ${code} and (p.dataset_id <> ${datasetId} or p.column_name is distinct from ${column})
    order by 1`.execute(tx)
  const metrics = rows.rows.map((row) => row.code)
  if (metrics.length === 0) return
  const detail = `The dataset and column of the series "${code}" cannot change while metrics use it: ${metrics.join(', ')}. Create another series.`
  throw new ProblemError('metric_in_use', detail, { metrics })
}

/** Returns all series, by code. */
export async function listSeries(db: Database | Tx): Promise<Series[]> {
  const rows = await db
    .selectFrom('series')
    .innerJoin('dataset_series', 'dataset_series.series_id', 'series.id')
    .innerJoin('datasets', 'datasets.id', 'dataset_series.dataset_id')
    .select(['series.code', 'series.title', 'series.unit', 'dataset_series.column_name as column'])
    .select(['datasets.code as dataset', 'series.current_version as version'])
    .orderBy('series.code')
    .execute()
  return rows.map(({ unit, version, ...row }) => ({
    ...SeriesDefinition.parse({ ...row, ...(unit === null ? {} : { unit }) }),
    version,
  }))
}
