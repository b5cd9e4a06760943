import { createHash } from 'node:crypto'
import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { ProblemError } from '@aduana/contracts/problems'
import { LOCKS, takeLock } from '@aduana/db/advisory-locks'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { sql } from 'kysely'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** A dataset as it is registered in the database, with one version of its definition. */
export interface RegisteredDataset {
  id: string
  code: string
  version: number
  definition: DatasetDefinition
  /** Identifies the content of the definition. */
  sha256: string
  /** The user who saved this version; null if it was shipped. */
  createdBy: string | null
}

/**
 * Registers the shipped definitions: a new one as version 1, a changed one as the next version. Open jobs keep the version
 * with which they were accepted. Definitions that a user has changed are kept until a user restores the shipped one.
 * Returns the codes of the definitions that remain different.
 */
export function registerDatasets(db: Database, definitions: readonly DatasetDefinition[]): Promise<string[]> {
  return inTransaction(db, async (tx) => {
    await ownDatasets(tx)
    const theirs: string[] = []
    for (const definition of definitions)
      if (!(await registerOne(tx, definition))) theirs.push(definition.code)
    return theirs
  })
}

/** Locks all datasets against changes by other transactions until the transaction ends. */
export async function ownDatasets(tx: Tx): Promise<void> {
  await takeLock(tx, LOCKS.datasets)
}

/** Returns the SHA-256 that identifies the content of a definition. */
export function shaOfDefinition(definition: DatasetDefinition): string {
  return createHash('sha256').update(JSON.stringify(definition)).digest('hex')
}

/** Returns false if the dataset keeps a different definition because a user has changed it. */
async function registerOne(tx: Tx, definition: DatasetDefinition): Promise<boolean> {
  const known = await current(tx)
    .select((of) =>
      of
        .exists(
          of
            .selectFrom('dataset_versions as shipped')
            .select('shipped.version')
            .whereRef('shipped.dataset_id', '=', 'datasets.id')
            .whereRef('shipped.definition_sha256', '=', 'dataset_versions.definition_sha256')
            .where('shipped.created_by', 'is', null),
        )
        .as('as_shipped_once'),
    )
    .where('datasets.code', '=', definition.code)
    .executeTakeFirst()
  if (known?.sha256 === shaOfDefinition(definition)) return true
  if (known && !known.as_shipped_once) return false
  await writeDatasetVersion(tx, definition, known, null)
  return true
}

/** Writes the first or next version of a dataset and makes it current. The caller must hold the lock of `ownDatasets`. */
export async function writeDatasetVersion(
  tx: Tx,
  definition: DatasetDefinition,
  known: Pick<RegisteredDataset, 'id' | 'version'> | undefined,
  by: string | null,
): Promise<RegisteredDataset> {
  const { code } = definition
  const version = (known?.version ?? 0) + 1
  const id = known?.id ?? (await insertDataset(tx, code, version))
  const sha256 = shaOfDefinition(definition)
  await tx
    .insertInto('dataset_versions')
    .values({
      dataset_id: id,
      version,
      definition: JSON.stringify(definition),
      definition_sha256: sha256,
      created_by: by,
    })
    .execute()
  await tx
    .updateTable('datasets')
    .set({ current_version: version, updated_at: sql<Date>`now()` })
    .where('id', '=', id)
    .execute()
  return { id, code, version, definition, sha256, createdBy: by }
}

async function insertDataset(tx: Tx, code: string, version: number): Promise<string> {
  const row = await tx
    .insertInto('datasets')
    .values({ code, current_version: version })
    .returning('id')
    .executeTakeFirstOrThrow()
  return row.id
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
    .select(['dataset_versions.definition_sha256 as sha256', 'dataset_versions.created_by as createdBy'])
}

/** Returns all datasets in their current version, sorted by code. */
export async function listDatasets(db: Database): Promise<RegisteredDataset[]> {
  const rows = await current(db).orderBy('datasets.code').execute()
  return rows.map((row) => ({ ...row, definition: DatasetDefinition.parse(row.definition) }))
}

/** Returns a dataset in its current version; undefined if no dataset has this code. */
export async function currentDataset(
  db: Database | Tx,
  code: string,
): Promise<RegisteredDataset | undefined> {
  const row = await current(db).where('datasets.code', '=', code).executeTakeFirst()
  return row && { ...row, definition: DatasetDefinition.parse(row.definition) }
}

/** Returns a dataset in its current version. @throws ProblemError `unknown_dataset` that lists the known ones */
export async function readDataset(db: Database | Tx, code: string): Promise<RegisteredDataset> {
  const dataset = await currentDataset(db, code)
  if (dataset) return dataset
  const known = await db.selectFrom('datasets').select('code').orderBy('code').execute()
  throw new ProblemError(
    'unknown_dataset',
    `There is no dataset "${code}". Existing datasets: ${known.map((dataset) => dataset.code).join(', ') || 'none'}.`,
  )
}

/**
 * Returns a dataset in its current version and locks it, so that no newer version is saved until the transaction ends: a
 * job is accepted under the version that is current when it is committed. @throws ProblemError `unknown_dataset`
 */
export async function holdDataset(tx: Tx, code: string): Promise<RegisteredDataset> {
  await sql`select from datasets where code = ${code} for share`.execute(tx)
  return readDataset(tx, code)
}

/** Returns a dataset by its code or its id. @throws ProblemError `unknown_dataset` that lists the known ones */
export async function findDataset(db: Database | Tx, codeOrId: string): Promise<RegisteredDataset> {
  if (!UUID.test(codeOrId)) return readDataset(db, codeOrId)
  const row = await current(db).where('datasets.id', '=', codeOrId).executeTakeFirst()
  return row ? { ...row, definition: DatasetDefinition.parse(row.definition) } : readDataset(db, codeOrId)
}

/** Returns the definition with which a job was accepted. @throws Error if it is missing, which a foreign key prevents */
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
