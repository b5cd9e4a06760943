import type { Tx } from './database.ts'
import { jsonb } from './jsonb.ts'

export interface AuditEntry {
  /** Null for an action of the system. */
  actor: string | null
  /** A dotted verb: `job.cancel`, `user.login`. */
  action: string
  subjectType: string
  subjectId: string
  details?: Record<string, string | number | boolean | null>
}

/** Adds an entry to the audit log, in the transaction of the action. */
export async function audit(tx: Tx, entry: AuditEntry): Promise<void> {
  await tx
    .insertInto('audit_log')
    .values({
      actor: entry.actor,
      action: entry.action,
      subject_type: entry.subjectType,
      subject_id: entry.subjectId,
      details: jsonb(entry.details ?? {}),
    })
    .execute()
}
