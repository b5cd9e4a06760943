import { createHash } from 'node:crypto'
import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { ProblemError } from '@aduana/contracts/problems'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { sql } from 'kysely'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** A dataset as it is registered in the database, with one version of its definition. */
export interface RegisteredDataset {
  id: string
  code: string
  version: number
  definition: DatasetDefinition
}

/**
 * Register the shipped definitions: a new one gets version 1, a changed one the next version. Jobs that are under way
 * keep the version that they were accepted with.
 */
export function registerDatasets(db: Database, definitions: readonly DatasetDefinition[]): Promise<void> {
  return inTransaction(db, async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('register datasets', 0))`.execute(tx)
    for (const definition of definitions) await registerOne(tx, definition)
  })
}

async function registerOne(tx: Tx, definition: DatasetDefinition): Promise<void> {
  const text = JSON.stringify(definition)
  const sha256 = createHash('sha256').update(text).digest('hex')
  const known = await tx
    .selectFrom('datasets')
    .innerJoin('dataset_versions', (join) =>
      join
        .onRef('dataset_versions.dataset_id', '=', 'datasets.id')
        .onRef('dataset_versions.version', '=', 'datasets.current_version'),
    )
    .select(['datasets.id', 'datasets.current_version', 'dataset_versions.definition_sha256'])
    .where('datasets.code', '=', definition.code)
    .executeTakeFirst()
  if (known?.definition_sha256 === sha256) return
  const version = (known?.current_version ?? 0) + 1
  const id =
    known?.id ??
    (
      await tx
        .insertInto('datasets')
        .values({ code: definition.code, current_version: version })
        .returning('id')
        .executeTakeFirstOrThrow()
    ).id
  await tx
    .insertInto('dataset_versions')
    .values({ dataset_id: id, version, definition: text, definition_sha256: sha256 })
    .execute()
  await tx
    .updateTable('datasets')
    .set({ current_version: version, updated_at: sql<Date>`now()` })
    .where('id', '=', id)
    .execute()
}

function current(db: Database | Tx) {
  return db
    .selectFrom('datasets')
    .innerJoin('dataset_versions', (join) =>
      join
        .onRef('dataset_versions.dataset_id', '=', 'datasets.id')
        .onRef('dataset_versions.version', '=', 'datasets.current_version'),
    )
    .select(['datasets.id', 'datasets.code', 'dataset_versions.version', 'dataset_versions.definition'])
}

/** All datasets in their current version, by code. */
export async function listDatasets(db: Database): Promise<RegisteredDataset[]> {
  const rows = await current(db).orderBy('datasets.code').execute()
  return rows.map((row) => ({ ...row, definition: DatasetDefinition.parse(row.definition) }))
}

/** A dataset in its current version. @throws ProblemError `unknown_dataset` that names the known ones */
export async function readDataset(db: Database | Tx, code: string): Promise<RegisteredDataset> {
  const row = await current(db).where('datasets.code', '=', code).executeTakeFirst()
  if (row) return { ...row, definition: DatasetDefinition.parse(row.definition) }
  const known = await db.selectFrom('datasets').select('code').orderBy('code').execute()
  throw new ProblemError(
    'unknown_dataset',
    `There is no dataset "${code}". Known are: ${known.map((dataset) => dataset.code).join(', ') || 'none'}.`,
  )
}

/** A dataset by its code or its id. @throws ProblemError `unknown_dataset` that names the known ones */
export async function findDataset(db: Database | Tx, codeOrId: string): Promise<RegisteredDataset> {
  if (!UUID.test(codeOrId)) return readDataset(db, codeOrId)
  const row = await current(db).where('datasets.id', '=', codeOrId).executeTakeFirst()
  return row ? { ...row, definition: DatasetDefinition.parse(row.definition) } : readDataset(db, codeOrId)
}

/** The definition that a job was accepted with. @throws Error when it is gone, which the database forbids */
export async function readDefinition(
  db: Database | Tx,
  datasetId: string,
  version: number,
): Promise<DatasetDefinition> {
  const row = await db
    .selectFrom('dataset_versions')
    .select('definition')
    .where('dataset_id', '=', datasetId)
    .where('version', '=', version)
    .executeTakeFirstOrThrow()
  return DatasetDefinition.parse(row.definition)
}
