import { counted } from '@aduana/contracts/figures'
import { ProblemError } from '@aduana/contracts/problems'
import type { Database, Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** Returns the number of bytes that a tenant keeps: its artifacts as they are stored, and its rejects in the database. */
export async function keptBytes(db: Database | Tx, tenant: string): Promise<number> {
  const row = await sql<{ bytes: string }>`
    select coalesce(sum(bytes), 0) as bytes from tenant_bytes where tenant = ${tenant}`.execute(db)
  return Number(row.rows[0]?.bytes ?? 0)
}

/**
 * Rejects a file of `bytes` that would exceed the quota of a tenant.
 * @throws ProblemError `quota_exceeded` with `keptBytes` and `maxBytes`
 */
export async function ensureQuota(
  db: Database | Tx,
  { maxKeptBytesPerTenant: maxBytes }: { maxKeptBytesPerTenant?: number },
  { tenant, bytes }: { tenant: string; bytes: number },
): Promise<void> {
  if (maxBytes === undefined) return
  const kept = await keptBytes(db, tenant)
  if (kept + bytes <= maxBytes) return
  throw new ProblemError(
    'quota_exceeded',
    `The tenant "${tenant}" stores ${counted(kept, 'byte')} of files and rejects. With the ${counted(bytes, 'byte')} of this file, it would exceed its limit of ${counted(maxBytes, 'byte')}. The file was not stored. Files are removed at the end of the retention of their dataset. An administrator can shorten the retention, or raise ADUANA_MAX_KEPT_BYTES_PER_TENANT.`,
    { keptBytes: kept, maxBytes },
  )
}

/** Merges the rows of each tenant into one. Sums stay correct, even when rows are added concurrently. */
export async function foldKeptBytes(db: Database): Promise<void> {
  await sql`
    with folded as (delete from tenant_bytes returning tenant, bytes)
    insert into tenant_bytes (tenant, bytes)
    select tenant, sum(bytes) from folded group by tenant having sum(bytes) <> 0`.execute(db)
}
