import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Principal } from '@aduana/contracts/identity'
import type { Job } from '@aduana/contracts/jobs'
import { UndoRequest } from '@aduana/contracts/undo'
import { registerDatasets } from '@aduana/datasets/registry'
import { undoImport } from '@aduana/jobs/undo/undo-import'
import type { ImportingSystem, Installation } from './installation.ts'

/** Counts of stock. Every company replaces its own days; other programs write the note. */
const stock = DatasetDefinition.parse({
  code: 'stock',
  title: { en: 'Stock', es: 'Existencias' },
  table: { name: 'stock_count' },
  columns: [
    { name: 'day', type: 'date', required: true },
    { name: 'company', type: 'text', required: true },
    { name: 'item', type: 'text', required: true },
    { name: 'pieces', type: 'integer', min: 0 },
    { name: 'remark', type: 'text' },
    { name: 'note', type: 'text', managed: true },
  ],
  unique: { columns: ['day', 'company', 'item'] },
  loadMode: 'replace-window',
  windowColumn: 'day',
  replaceScope: 'company',
  maxRejectRatio: 1,
})

/** Contracts, merged by number. Other programs set whether they are processed. */
const contracts = DatasetDefinition.parse({
  code: 'contracts',
  title: { en: 'Contracts', es: 'Contratos' },
  table: { name: 'contract' },
  columns: [
    { name: 'number', type: 'text', required: true },
    { name: 'day', type: 'date', required: true },
    { name: 'amount', type: 'decimal', precision: 12, scale: 2 },
    { name: 'changed', type: 'timestamp', required: true, formats: ['YYYY-MM-DD HH:MM:SS'] },
    { name: 'processed', type: 'boolean', managed: true },
  ],
  loadMode: 'upsert',
  key: ['number'],
  versionColumn: 'changed',
  windowColumn: 'day',
  loadedAtColumn: 'loaded_at',
  maxRejectRatio: 1,
})

const TABLES = `
  create table stock_count (id bigint primary key, "day" date not null, company text not null, item text not null,
    pieces integer, remark text, note text, "odd, name" integer default 7, doubled integer generated always as (pieces * 2) stored,
    "Created" timestamptz not null default clock_timestamp());
  create index on stock_count ("day");
  create table contract (id bigint primary key, number text not null unique, "day" date not null, amount numeric(12, 2),
    changed timestamptz not null, processed boolean not null default false, import_no integer not null, record bigint not null,
    row_hash text not null, loaded_at timestamptz not null default now());
  create index on contract ("day");`

/** Adds the datasets of this file, with their tables. */
export async function addUndoDatasets({ database }: Installation): Promise<void> {
  await database.pool.query(TABLES)
  await registerDatasets(database.db, [stock, contracts])
}

/** Requests an undo as the API does, and returns the id of its job. */
export async function requestUndo(
  system: Installation,
  importId: string,
  { unwind = false, as = system.admin }: { unwind?: boolean; as?: Principal } = {},
): Promise<string> {
  const context = { db: system.database.db, maxQueued: 1000 }
  return (await undoImport(context, as, importId, UndoRequest.parse({ unwind }))).body.id
}

/** Undoes an import and waits until its job is final. */
export async function undone(
  system: ImportingSystem,
  importId: string,
  options: { unwind?: boolean; as?: Principal } = {},
): Promise<Job> {
  return system.finished(await requestUndo(system, importId, options), 60_000)
}

/**
 * Returns everything that an undo must restore of a dataset, as text: every column of the table, the owners and rows of the
 * ledger, and the states of the rejects, except those of undone imports.
 */
export async function stateOf(system: Installation, dataset: string, table: string): Promise<string> {
  const { pool } = system.database
  const rows = await pool.query(`select to_jsonb(t)::text as row from ${table} t order by t.id`)
  const ledger = await pool.query(
    `select l.scope, l.day, l.rows, l.job_id from window_ledger l join jobs j on j.id = l.job_id
      join datasets d on d.id = l.dataset_id where d.code = $1 and not j.batch_deleted order by 1, 2`,
    [dataset],
  )
  const rejects = await pool.query(
    `select q.id, q.state, q.superseded_by from quarantined_records q join jobs j on j.id = q.job_id
      join datasets d on d.id = q.dataset_id where d.code = $1 and not j.batch_deleted order by q.id`,
    [dataset],
  )
  return [rows.rows.map(({ row }) => row), ledger.rows, rejects.rows]
    .map((part) => part.map((entry) => JSON.stringify(entry)).join('\n'))
    .join('\n--\n')
}
