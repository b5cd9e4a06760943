import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** The NOTIFY channel of the outbox. */
export const OUTBOX_CHANNEL = 'aduana_outbox'

/** Notifies the processes that deliver, when the transaction commits. */
export async function notifyOutbox(tx: Tx): Promise<void> {
  await sql`select pg_notify(${OUTBOX_CHANNEL}, '')`.execute(tx)
}
