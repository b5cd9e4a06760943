import type { Retention } from '@aduana/contracts/dataset-definition'
import { type RawBuilder, sql } from 'kysely'

/** How long the files of a dataset are kept, seen from a moment; of jobs without dataset where it is null. */
export interface Keeping {
  datasetId: string | null
  retention: Retention
  now: Date
}

/**
 * The condition under which the bytes of an artifact `a` of a job `j` may go: its time is over, and nothing that can
 * still happen needs it.
 *
 * - A job that is not final needs all of its files, and so does one of which an undo or a replay is under way.
 * - An original and the files of rejects are needed while rejects are open, or would be open again after an undo.
 * - A before-image is needed as long as its import can be undone, or is among those whose rows come back when a later
 *   import is undone.
 */
export function dueFiles({ datasetId, retention, now }: Keeping): RawBuilder<boolean> {
  const before = (days: number) => sql`(${now}::timestamptz - make_interval(hours => ${days * 24}))`
  const undoable = before(retention.undoDays)
  return sql<boolean>`(
    a.job_id = j.id and a.removed_at is null and j.completed_at is not null
    and j.dataset_id is not distinct from ${datasetId}::uuid
    and not exists (select from jobs c where c.parent_id = j.id and c.completed_at is null)
    and case
      when a.name like 'before-image%' and j.loaded_at is not null and not j.batch_deleted
        then j.loaded_at < ${undoable} and not ${comesBack(undoable)}
      when a.name = 'original' then j.completed_at < ${before(retention.originals)} and not ${hasOpenRejects(undoable)}
      when a.downloadable and a.name not like 'before-image%'
        then j.completed_at < ${before(retention.rejects)} and not ${hasOpenRejects(undoable)}
      else j.completed_at < ${before(retention.intermediates)}
    end)`
}

/** Whether undoing a later import, or the later ones in turn, gives days back to the import. */
function comesBack(undoable: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`exists (
    with recursive later (job_id) as (
      select b.job_id from window_ledger_before b where b.former_job_id = j.id
      union
      select b.job_id from window_ledger_before b join later l on b.former_job_id = l.job_id
    )
    select from later l join jobs n on n.id = l.job_id where not n.batch_deleted and n.loaded_at >= ${undoable})`
}

function hasOpenRejects(undoable: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`exists (select from quarantined_records q left join jobs s on s.id = q.superseded_by
    where q.job_id = j.id and (q.state in ('open', 'fixed')
      or (q.state = 'superseded' and not s.batch_deleted and s.loaded_at >= ${undoable})))`
}
