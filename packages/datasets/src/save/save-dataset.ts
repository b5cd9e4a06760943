import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DatasetProblem, SavedDataset } from '@aduana/contracts/datasets'
import { type Principal, requireRole } from '@aduana/contracts/identity'
import { requireVersion } from '@aduana/contracts/versions'
import { audit } from '@aduana/db/audit'
import { type Database, inTransactionWithLockTimeout, type Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { sql } from 'kysely'
import { queryable, readCatalogue } from '../catalogue.ts'
import { changeProblems } from '../change.ts'
import { invalidDataset, readDefinitionOf } from '../definition-input.ts'
import { engineProblems } from '../engine-problems.ts'
import { placementOf } from '../placement.ts'
import {
  currentDataset,
  ownDatasets,
  type RegisteredDataset,
  shaOfDefinition,
  writeDatasetVersion,
} from '../registry.ts'
import type { DatasetDependents } from './dependents.ts'
import { zoneNameProblems } from './zone-names.ts'

/**
 * Saves the definition of a dataset on behalf of a user, once the engine has run it over a file without records. With
 * `expectedVersion`, only if that is its current version.
 * @throws ProblemError `forbidden`; `invalid_dataset` and `dataset_in_use` with their `problems`; `dataset_busy`;
 * `version_changed`
 */
export async function saveDatasetAs(
  db: Database,
  dependents: DatasetDependents,
  principal: Principal,
  code: string,
  input: unknown,
  expectedVersion?: number,
): Promise<SavedDataset> {
  requireRole(principal, 'admin', 'Changing a dataset')
  const definition = readDefinitionOf(code, input)
  const present = await currentDataset(db, code)
  const catalogue = await readCatalogue(queryable(db), definition)
  const moreProblems = await engineProblems(definition, present?.definition, catalogue)
  return inTransactionWithLockTimeout(db, (tx) =>
    saveDataset(tx, dependents, definition, principal.userId, { moreProblems, expectedVersion }),
  )
}

/**
 * Saves the definition of a dataset as its next version if it differs from the current one, or as a new dataset over
 * an existing table. What depends on the dataset checks the change before it is written and follows it. `moreProblems`
 * are reported with the problems found here. With `expectedVersion`, only if that is the current version; a definition
 * that is already current succeeds regardless.
 * @throws ProblemError `invalid_dataset` and `dataset_in_use` with their `problems`; `dataset_busy` with `jobs`;
 * `version_changed`
 */
export async function saveDataset(
  tx: Tx,
  dependents: DatasetDependents,
  definition: DatasetDefinition,
  by: string,
  {
    moreProblems = [],
    expectedVersion,
  }: { moreProblems?: readonly DatasetProblem[]; expectedVersion?: number | undefined } = {},
): Promise<SavedDataset> {
  await dependents.lock(tx)
  await ownDatasets(tx)
  await lockDataset(tx, definition.code)
  const before = await currentDataset(tx, definition.code)
  if (before?.sha256 === shaOfDefinition(definition))
    return { code: before.code, version: before.version, changed: false }
  requireVersion('dataset', expectedVersion, before?.version)
  await assertValid(tx, definition, before, moreProblems)
  const saved = await (before
    ? change(tx, dependents, definition, before, by)
    : writeDatasetVersion(tx, definition, undefined, by))
  await record(tx, saved, by)
  return { code: saved.code, version: saved.version, changed: true }
}

/** Locks the row of a dataset. Waits for transactions that accept jobs under the current version. */
async function lockDataset(tx: Tx, code: string): Promise<void> {
  await tx.selectFrom('datasets').select('id').where('code', '=', code).forNoKeyUpdate().execute()
}

async function assertValid(
  tx: Tx,
  definition: DatasetDefinition,
  before: RegisteredDataset | undefined,
  alsoWrong: readonly DatasetProblem[],
): Promise<void> {
  const catalogue = await readCatalogue(queryable(tx), definition)
  const problems = [
    ...changeProblems(definition, {
      before: before?.definition,
      catalogue,
      tableOf: before ? undefined : await datasetOfTable(tx, definition),
    }),
    ...(await zoneNameProblems(tx, definition)),
    ...alsoWrong,
  ]
  if (problems.length > 0) throw invalidDataset(problems)
}

/** Returns the dataset that loads into the table of a definition. */
async function datasetOfTable(tx: Tx, { table }: DatasetDefinition): Promise<string | undefined> {
  const { rows } = await sql<{ code: string }>`select d.code
    from datasets d join dataset_versions v on v.dataset_id = d.id and v.version = d.current_version
    where v.definition -> 'table' ->> 'schema' = ${table.schema}
      and v.definition -> 'table' ->> 'name' = ${table.name}`.execute(tx)
  return rows[0]?.code
}

async function change(
  tx: Tx,
  dependents: DatasetDependents,
  definition: DatasetDefinition,
  before: RegisteredDataset,
  by: string,
): Promise<RegisteredDataset> {
  const moves = placementOf(before.definition) !== placementOf(definition)
  const follow = await dependents.check(tx, { before, definition, moves })
  const saved = await writeDatasetVersion(tx, definition, before, by)
  await follow(saved)
  return saved
}

async function record(tx: Tx, { id, code, version }: RegisteredDataset, by: string): Promise<void> {
  await appendEvent(tx, {
    key: `${id}:saved:${version}`,
    datasetId: id,
    event: { type: 'dataset.saved', dataset: code, version },
  })
  await audit(tx, {
    actor: by,
    action: 'dataset.save',
    subjectType: 'dataset',
    subjectId: code,
    details: { version },
  })
}
