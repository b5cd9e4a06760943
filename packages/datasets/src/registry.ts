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
  /** Names the content of the definition. */
  sha256: string
  /** Who wrote this version; null: it came with the program. */
  createdBy: string | null
}

/**
 * Register the shipped definitions: a new one gets version 1, a changed one the next version. Jobs that are under way
 * keep the version that they were accepted with. What somebody has changed stays so, until somebody puts a shipped
 * definition back. Answers the codes of those that stay different.
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

/** Be the only one who changes datasets until the transaction ends. */
export async function ownDatasets(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('register datasets', 0))`.execute(tx)
}

/** Names the content of a definition. */
export function shaOfDefinition(definition: DatasetDefinition): string {
  return createHash('sha256').update(JSON.stringify(definition)).digest('hex')
}

/** Answers false when it stays another one, because somebody has changed it. */
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

/** Write the next version of a dataset, or its first; it is the present one then. The caller owns the datasets. */
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

/** All datasets in their current version, by code. */
export async function listDatasets(db: Database): Promise<RegisteredDataset[]> {
  const rows = await current(db).orderBy('datasets.code').execute()
  return rows.map((row) => ({ ...row, definition: DatasetDefinition.parse(row.definition) }))
}

/** A dataset in its current version, if there is one of this code. */
export async function currentDataset(
  db: Database | Tx,
  code: string,
): Promise<RegisteredDataset | undefined> {
  const row = await current(db).where('datasets.code', '=', code).executeTakeFirst()
  return row && { ...row, definition: DatasetDefinition.parse(row.definition) }
}

/** A dataset in its current version. @throws ProblemError `unknown_dataset` that names the known ones */
export async function readDataset(db: Database | Tx, code: string): Promise<RegisteredDataset> {
  const dataset = await currentDataset(db, code)
  if (dataset) return dataset
  const known = await db.selectFrom('datasets').select('code').orderBy('code').execute()
  throw new ProblemError(
    'unknown_dataset',
    `There is no dataset "${code}". Known are: ${known.map((dataset) => dataset.code).join(', ') || 'none'}.`,
  )
}

/**
 * A dataset in its current version, which stays the current one until the transaction ends: what is accepted under it is
 * there before it changes. @throws ProblemError `unknown_dataset`
 */
export async function holdDataset(tx: Tx, code: string): Promise<RegisteredDataset> {
  await sql`select from datasets where code = ${code} for share`.execute(tx)
  return readDataset(tx, code)
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
