import { createHash } from 'node:crypto'
import { METRIC_LOCK_CLASS } from '@aduana/db/advisory-locks'
import type { Session } from './session.ts'

/** Metrics share this many locks. A lock for each of thousands would fill the lock table of the server. */
const LOCKS = 1024

/** Locks metrics until the transaction ends, always in the same order so that deadlocks cannot occur. */
export async function lockMetrics(session: Session, codes: readonly string[]): Promise<void> {
  const locks = [...new Set(codes.map(lockOf))].sort((a, b) => a - b)
  await session.run('select pg_advisory_xact_lock($1, number) from unnest($2::integer[]) as number', [
    METRIC_LOCK_CLASS,
    locks,
  ])
}

function lockOf(code: string): number {
  return createHash('sha256').update(code).digest().readUInt32BE(0) % LOCKS
}
