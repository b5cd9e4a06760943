import { type DatasetDefinition, LoadMode } from '@aduana/contracts/dataset-definition'
import { Day } from '@aduana/contracts/dates'
import { ScopeList } from '@aduana/contracts/identity'
import { JobStatus } from '@aduana/contracts/job-states'
import { readDefinition } from '@aduana/datasets/registry'
import type { Database, Tx } from '@aduana/db/database'
import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import type { Window } from '../windows/windows.ts'

/** A loaded import, with what an undo needs to know. */
export const LoadedImport = z.object({
  id: z.uuid(),
  userId: z.uuid(),
  importNo: z.int().positive(),
  datasetId: z.uuid(),
  version: z.int(),
  mode: LoadMode,
  status: JobStatus,
  loadedAt: z.coerce.date(),
  /** The companies whose rows it may contain; null means all. */
  companies: ScopeList,
  warehouses: ScopeList,
})
export type LoadedImport = z.infer<typeof LoadedImport>

/**
 * Returns the imports that have loaded and have not been undone, newest first. `condition` refers to `j` (jobs) and `i`
 * (imports).
 */
export async function loadedImports(
  db: Database | Tx,
  condition: RawBuilder<unknown>,
): Promise<LoadedImport[]> {
  const rows = await sql`
    select j.id, j.user_id as "userId", i.import_no as "importNo", i.dataset_id as "datasetId",
      i.dataset_version as version, i.mode, j.status, j.loaded_at as "loadedAt", j.companies, j.warehouses
    from jobs j join imports i on i.job_id = j.id
    where j.loaded_at is not null and not j.batch_deleted and ${condition}
    order by j.loaded_at desc, i.import_no desc`.execute(db)
  return z.array(LoadedImport).parse(rows.rows)
}

/**
 * Returns the later imports that own days of an import, newest first. The import cannot be undone before them. Imports that
 * append or upsert do not block each other by day. Imports that replace days do, unless they have no company or no
 * warehouse in common.
 */
export async function laterOwners(db: Database | Tx, of: LoadedImport): Promise<LoadedImport[]> {
  const modes: LoadMode[] = of.mode === 'replace-window' ? LoadMode.options : ['replace-window']
  const later = await loadedImports(
    db,
    sql`i.mode = any (${modes}::text[]) and j.id in (
      with recursive later (job_id, scope, day) as (
        select b.job_id, b.scope, b.day from window_ledger_before b join jobs n on n.id = b.job_id
          where b.former_job_id = ${of.id} and not n.batch_deleted
        union
        select b.job_id, b.scope, b.day from later l
          join window_ledger_before b on b.former_job_id = l.job_id and b.scope = l.scope and b.day = l.day
          join jobs n on n.id = b.job_id
          where not n.batch_deleted
      )
      select job_id from later)`,
  )
  if (later.length === 0) return later
  const definition = await readDefinition(db, of.datasetId, of.version)
  return later.filter((one) => !areApart(definition, of, one))
}

/**
 * Returns whether two imports cannot have touched the same rows, because they have no company or no warehouse in common.
 * A row that names none belongs to all.
 */
function areApart({ columns, scope }: DatasetDefinition, one: LoadedImport, other: LoadedImport): boolean {
  const named = (name: string | undefined) =>
    columns.some((column) => column.name === name && column.required)
  const apart = (mine: readonly string[] | null, theirs: readonly string[] | null) =>
    mine !== null && theirs !== null && !mine.some((name) => theirs.includes(name))
  return (
    (named(scope?.company) && apart(one.companies, other.companies)) ||
    (named(scope?.warehouse) && apart(one.warehouses, other.warehouses))
  )
}

/**
 * Returns the imports that must be undone before an import, newest first, followed by the import itself. Considers days
 * only: later upserts may have changed its rows on any day, which only the rows of the table can show.
 */
export async function unwindingOf(db: Database | Tx, first: LoadedImport): Promise<LoadedImport[]> {
  const found = new Map([[first.id, first]])
  for (const next of found.values())
    for (const later of await laterOwners(db, next)) found.set(later.id, later)
  return [...found.values()].sort(newestFirst)
}

/** Compares two loads for sorting; the later one comes first. */
export function newestFirst(a: LoadedImport, b: LoadedImport): number {
  return b.loadedAt.getTime() - a.loadedAt.getTime() || b.importNo - a.importNo
}

const Windows = z.array(z.object({ scope: z.string(), from: Day, to: Day }))

/**
 * Returns the windows that imports wrote: for each scope, from the first to the last day. For a dataset without a window
 * column, that is the whole scope.
 */
export async function writtenWindows(db: Database | Tx, imports: readonly string[]): Promise<Window[]> {
  const rows = await sql`select scope, min(day)::text as from, (max(day) + 1)::text as to
    from window_ledger_before where job_id = any (${[...imports]}::uuid[]) group by scope order by scope`.execute(
    db,
  )
  const windows = Windows.parse(rows.rows)
  return windows.length > 0 ? windows : [{ scope: '', from: null, to: null }]
}
