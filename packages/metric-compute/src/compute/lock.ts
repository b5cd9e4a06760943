import { createHash } from 'node:crypto'
import type { Session } from './session.ts'

/** Locks of metrics are told apart from other advisory locks by this number. */
const METRIC_LOCKS = 7_461_010
/** Metrics share so many locks: a lock for each of thousands would fill the server's table of locks. */
const LOCKS = 1024

/** Lock metrics until the transaction ends; in one order for everybody, so that nobody waits in a circle. */
export async function lockMetrics(session: Session, codes: readonly string[]): Promise<void> {
  const locks = [...new Set(codes.map(lockOf))].sort((a, b) => a - b)
  await session.run('select pg_advisory_xact_lock($1, number) from unnest($2::integer[]) as number', [
    METRIC_LOCKS,
    locks,
  ])
}

function lockOf(code: string): number {
  return createHash('sha256').update(code).digest().readUInt32BE(0) % LOCKS
}
