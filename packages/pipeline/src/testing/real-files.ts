import { readFile } from 'node:fs/promises'
import type { DatasetDefinitionInput } from '@aduana/contracts/dataset-definition'
import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Job } from '@aduana/contracts/jobs'
import type { Reject } from '@aduana/contracts/rejects'
import { inTransaction } from '@aduana/db/database'
import { listRejects } from '@aduana/jobs/read/rejects'
import { saveDataset } from '@aduana/metrics/registry/datasets'
import { createInProcessSystem, type InProcessSystem } from './in-process-system.ts'

/** A column as an author declares it. */
export type ColumnInput = DatasetDefinitionInput['columns'][number]

/** What became of a file. */
export interface Imported {
  job: Job
  /** The stored rejects, in the order of the file. */
  rejects: Reject[]
}

/** An installation that files are tried on, with datasets of its own. */
export interface RealFiles {
  system: InProcessSystem
  /**
   * Makes a table for these columns and a dataset that appends to it, and returns its code. `more` changes the
   * definition. Every record may be a reject as long as one is not.
   */
  dataset(columns: readonly ColumnInput[], more?: Partial<DatasetDefinitionInput>): Promise<string>
  /** Imports text, bytes, or a file of the folder `real-files/files`, and waits for the end. */
  import(dataset: string, content: string | Buffer | URL, form?: Record<string, string>): Promise<Imported>
  /** The rows of a dataset made here: the values of its columns as text, in the order of the file. */
  rows(dataset: string): Promise<Record<string, string | null>[]>
  close(): Promise<void>
}

const TYPES = {
  text: () => 'text',
  integer: ({ bits = 32 }) => ({ 16: 'smallint', 32: 'integer', 64: 'bigint' })[bits],
  decimal: ({ precision, scale }) => `numeric(${precision},${scale})`,
  date: () => 'date',
  timestamp: () => 'timestamptz',
  boolean: () => 'boolean',
} satisfies { [T in ColumnInput['type']]: (column: Extract<ColumnInput, { type: T }>) => string }

/** The place of a file of the folder `real-files/files`. */
export function realFile(name: string): URL {
  return new URL(`../real-files/files/${name}`, import.meta.url)
}

/** Opens an installation that imports in the process of the test. */
export async function openRealFiles(): Promise<RealFiles> {
  const system = await createInProcessSystem()
  const { db, pool } = system.database
  await pool.query('create schema own')
  let made = 0
  return {
    system,
    dataset: async (columns, more = {}) => {
      made += 1
      const code = `own_${made}`
      const definition = DatasetDefinition.parse({
        ...{ code, title: { en: 'Own', es: 'Propia' }, table: { schema: 'own', name: code } },
        ...{ columns: [...columns], loadMode: 'append', maxRejectRatio: 1, ...more },
      })
      await pool.query(createTable(code, columns, definition))
      await inTransaction(db, (tx) => saveDataset(tx, definition, system.admin.userId))
      return code
    },
    import: async (dataset, content, form = {}) => {
      const bytes = content instanceof URL ? await readFile(content) : content
      const job = await system.import(bytes, { dataset, ...form })
      const rejects = await listRejects({ db, store: system.store }, system.admin, job.id, { limit: 500 })
      return { job, rejects: rejects.items }
    },
    rows: async (dataset) => {
      const { rows } = await pool.query<{ row: Record<string, string | null> }>(
        `select (select jsonb_object_agg(key, value) from jsonb_each_text(to_jsonb(its_row))
           where key not in ('id', 'import_no', 'record', 'row_hash')) as row from own.${dataset} its_row order by id`,
      )
      return rows.map(({ row }) => row)
    },
    close: () => system.close(),
  }
}

function createTable(
  code: string,
  columns: readonly ColumnInput[],
  { loadMode, key }: DatasetDefinition,
): string {
  const typed = columns.map((column) => `${column.name} ${typeOf(column)}`)
  const upsert = [
    ...['import_no integer not null', 'record bigint not null', 'row_hash text not null'],
    `unique (${key?.join(', ')})`,
  ]
  const more = loadMode === 'upsert' ? upsert : []
  return `create table own.${code} (${['id bigint primary key', ...typed, ...more].join(', ')})`
}

function typeOf(column: ColumnInput): string {
  switch (column.type) {
    case 'integer':
      return TYPES.integer(column)
    case 'decimal':
      return TYPES.decimal(column)
    default:
      return TYPES[column.type]()
  }
}
