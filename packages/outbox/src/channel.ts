import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** Channel on which the outbox hears that there is something to deliver. */
export const OUTBOX_CHANNEL = 'aduana_outbox'

/** Wake whoever delivers when the transaction commits. */
export async function notifyOutbox(tx: Tx): Promise<void> {
  await sql`select pg_notify(${OUTBOX_CHANNEL}, '')`.execute(tx)
}
