import type { VersionQuery } from '@aduana/contracts/versions'
import type { Database, ReadTx, Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { z } from 'zod'
import { CursorColumn, decodeCursor, encodeCursor } from './cursor.ts'
import type { Page } from './jobs.ts'

/** The tables of versions, and their columns that name the owner. */
const OWNERS = {
  dataset_versions: 'dataset_id',
  series_versions: 'series_id',
  metric_versions: 'metric_id',
} as const

const Cursor = z.tuple([CursorColumn.integer])

interface Row {
  version: number
  created_at: Date
  created_by: string | null
  definition: unknown
}

/** A version of a definition. */
export interface Version<T> {
  version: number
  createdAt: string
  createdBy: string | null
  definition: T
}

/**
 * Returns the versions of a dataset, a series or a metric, newest first.
 * @throws ProblemError `bad_request` when the cursor does not belong to this list
 */
export async function readVersions<T>(
  db: Database | ReadTx | Tx,
  table: keyof typeof OWNERS,
  ownerId: string,
  definition: z.ZodType<T>,
  { cursor, limit }: VersionQuery,
): Promise<Page<Version<T>>> {
  const before = cursor === undefined ? null : decodeCursor(Cursor, cursor)[0]
  const rows = await sql<Row>`select version, created_at, created_by, definition from ${sql.table(table)}
    where ${sql.ref(OWNERS[table])} = ${ownerId} and (${before}::integer is null or version < ${before}::integer)
    order by version desc limit ${limit + 1}`.execute(db)
  const shown = rows.rows.slice(0, limit)
  const last = shown.at(-1)
  return {
    items: shown.map((row) => ({
      version: row.version,
      createdAt: row.created_at.toISOString(),
      createdBy: row.created_by,
      definition: definition.parse(row.definition),
    })),
    next: last && rows.rows.length > limit ? encodeCursor([last.version]) : null,
  }
}
