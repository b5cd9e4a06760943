import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DatasetProblem, SavedDataset } from '@aduana/contracts/datasets'
import type { DayRange } from '@aduana/contracts/dates'
import { type Queryable, readCatalogue } from '@aduana/datasets/catalogue'
import { changeProblems } from '@aduana/datasets/change'
import { invalidDataset } from '@aduana/datasets/definition-input'
import { columnPath } from '@aduana/datasets/placed-problems'
import { placementOf } from '@aduana/datasets/placement'
import {
  currentDataset,
  ownDatasets,
  type RegisteredDataset,
  shaOfDefinition,
  writeDatasetVersion,
} from '@aduana/datasets/registry'
import { audit } from '@aduana/db/audit'
import type { Database, Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { assertNoActiveJobs, rebuildLedger } from '@aduana/jobs/windows/placement'
import { CompiledQuery, sql } from 'kysely'
import { lockGraphExclusive } from '../runs/locks.ts'
import { assertMetricsRemainValid, metricsWithNewMeaning, withDefinition } from './dataset-metrics.ts'
import { activeDefinitions, dependentsOf, readGraph, resolveNeeds } from './graph.ts'
import { daysOfDataset, recompute } from './recompute.ts'
import { requireVersion } from './write.ts'

/**
 * Saves the definition of a dataset as its next version if it differs from the current one, or as a new dataset over
 * an existing table. Revalidates its series and the metrics over them, and recomputes those whose meaning changes,
 * with their dependents. `moreProblems` are reported with the problems found here. With `expectedVersion`, only if
 * that is the current version; a definition that is already current succeeds regardless.
 * @throws ProblemError `invalid_dataset` and `dataset_in_use` with their `problems`; `dataset_busy` with `jobs`;
 * `version_changed`
 */
export async function saveDataset(
  tx: Tx,
  definition: DatasetDefinition,
  by: string,
  {
    moreProblems = [],
    expectedVersion,
  }: { moreProblems?: readonly DatasetProblem[]; expectedVersion?: number | undefined } = {},
): Promise<SavedDataset> {
  await lockGraphExclusive(tx)
  await ownDatasets(tx)
  // Waits for transactions that accept jobs under the current version.
  await sql`select from datasets where code = ${definition.code} for no key update`.execute(tx)
  const before = await currentDataset(tx, definition.code)
  if (before?.sha256 === shaOfDefinition(definition))
    return { code: before.code, version: before.version, changed: false }
  requireVersion('dataset', expectedVersion, before?.version)
  await assertValid(tx, definition, before, moreProblems)
  const saved = await (before ? change(tx, definition, before, by) : writeNew(tx, definition, by))
  await record(tx, saved, by)
  return { code: saved.code, version: saved.version, changed: true }
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
    ...(await unknownZones(tx, definition)),
    ...alsoWrong,
  ]
  if (problems.length > 0) throw invalidDataset(problems)
}

function writeNew(tx: Tx, definition: DatasetDefinition, by: string): Promise<RegisteredDataset> {
  return writeDatasetVersion(tx, definition, undefined, by)
}

async function change(
  tx: Tx,
  definition: DatasetDefinition,
  before: RegisteredDataset,
  by: string,
): Promise<RegisteredDataset> {
  const graph = await readGraph(tx)
  const { places, lost } = withDefinition(graph.places, before.id, definition)
  const active = activeDefinitions(graph)
  assertMetricsRemainValid(active, places, lost, definition)
  const moved = placementOf(before.definition) !== placementOf(definition)
  if (moved) await assertNoActiveJobs(tx, before)
  const formerDays = moved ? await daysOfDataset(tx, before.definition) : undefined
  const saved = await writeDatasetVersion(tx, definition, before, by)
  if (moved) await rebuildLedger(tx, saved)
  const shifted = metricsWithNewMeaning(active, graph.places, before.definition, saved)
  const needs = resolveNeeds(active, places)
  // Dependents are included. Otherwise they would wait for updates of datasets that none was announced for.
  const codes = [...shifted, ...dependentsOf(needs, shifted)]
  await recompute(tx, {
    metrics: codes.flatMap((code) => graph.metrics.get(code) ?? []),
    places,
    needs,
    formerDays: new Map<string, DayRange>(formerDays ? [[saved.code, formerDays]] : []),
  })
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

/** Returns the dataset that loads into the table of a definition. */
async function datasetOfTable(tx: Tx, { table }: DatasetDefinition): Promise<string | undefined> {
  const rows = await sql<{ code: string }>`select d.code
    from datasets d join dataset_versions v on v.dataset_id = d.id and v.version = d.current_version
    where v.definition -> 'table' ->> 'schema' = ${table.schema} and v.definition -> 'table' ->> 'name' = ${table.name}`.execute(
    tx,
  )
  return rows.rows[0]?.code
}

/**
 * Returns problems of time zones that PostgreSQL does not know, or reads as the abbreviation of a fixed offset
 * although the zone changes its clocks, such as CET.
 */
async function unknownZones(tx: Tx, definition: DatasetDefinition): Promise<DatasetProblem[]> {
  const columns = definition.columns.filter((column) => column.type === 'timestamp')
  if (columns.length === 0) return []
  const zones = columns.map(({ timeZone }) => timeZone)
  const known = await sql<{ name: string; fixed: boolean }>`select z.name,
      exists (select from pg_timezone_abbrevs a where a.abbrev = upper(z.name)) as fixed
    from pg_timezone_names z where z.name = any (${zones}::text[])`.execute(tx)
  const names = new Map(known.rows.map(({ name, fixed }) => [name, fixed]))
  return columns.flatMap(({ name, timeZone }) => {
    const path = `${columnPath(definition, name)}.timeZone`
    const fixed = names.get(timeZone)
    const wrong =
      fixed === undefined
        ? `PostgreSQL does not know the time zone "${timeZone}". Use a name such as America/Bogota.`
        : fixed && changesClocks(timeZone)
          ? `PostgreSQL reads the time zone "${timeZone}" as a fixed offset. Use a name such as Europe/Madrid.`
          : undefined
    return wrong === undefined ? [] : [{ path, code: 'contradiction', message: wrong }]
  })
}

/** Returns whether a zone had summer time in 2024. */
function changesClocks(timeZone: string): boolean {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset', hour: 'numeric' })
  const offset = (month: number) =>
    format.formatToParts(Date.UTC(2024, month, 1)).find(({ type }) => type === 'timeZoneName')?.value
  return offset(0) !== offset(6)
}

/** Adapts a database or a transaction to the interface that reads the catalogue. */
export function queryable(db: Database | Tx): Queryable {
  return { query: (text, values) => db.executeQuery(CompiledQuery.raw(text, values)) }
}
