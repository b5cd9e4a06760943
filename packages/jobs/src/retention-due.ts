import { Retention } from '@aduana/contracts/dataset-definition'
import { listDatasets } from '@aduana/datasets/registry'
import type { Database } from '@aduana/db/database'
import { type RawBuilder, sql } from 'kysely'
import { cutoffOf } from './cutoff.ts'

/** How long what the jobs of a dataset leave behind is kept, seen from a moment; of jobs without dataset where it is null. */
export interface Keeping {
  datasetId: string | null
  retention: Retention
  now: Date
}

/** How long each dataset keeps things, by its definition of today; jobs without dataset by the defaults. */
export async function keepings(db: Database, now: Date): Promise<Keeping[]> {
  const datasets = await listDatasets(db)
  return [
    ...datasets.map(({ id, definition }) => ({ datasetId: id, retention: definition.retention, now })),
    { datasetId: null, retention: Retention.parse({}), now },
  ]
}

/**
 * The condition under which the bytes of an artifact `a` of a job `j` may go: its time is over, and nothing that can
 * still happen needs it.
 *
 * - A job that is not final needs all of its files, and so does one of which an undo or a replay is under way.
 * - An original and the files of rejects are needed while rejects are open, or would be open again after an undo.
 * - A before-image is needed as long as its import can be undone.
 */
export function dueFiles(keeping: Keeping): RawBuilder<boolean> {
  const { datasetId, retention, now } = keeping
  const before = (days: number) => cutoffOf({ days, now })
  return sql<boolean>`(
    a.job_id = j.id and a.removed_at is null and j.completed_at is not null
    and j.dataset_id is not distinct from ${datasetId}::uuid
    and not exists (select from jobs c where c.parent_id = j.id and c.completed_at is null)
    and case
      when a.name like 'before-image%' and j.loaded_at is not null and not j.batch_deleted
        then ${isBeyondUndo(keeping)}
      when a.name = 'original' then j.completed_at < ${before(retention.originals)} and not ${hasOpenRejects(keeping)}
      when a.downloadable and a.name not like 'before-image%'
        then j.completed_at < ${before(retention.rejects)} and not ${hasOpenRejects(keeping)}
      else j.completed_at < ${before(retention.intermediates)}
    end)`
}

/**
 * SQL: the import of the job `j` cannot be undone any more. While an undo of its dataset is under way nothing is beyond
 * it: it may have begun in time, and may take back imports other than its own. Imports that an undo needs have loaded
 * after the one that it is about, so they are never beyond it earlier.
 */
export function isBeyondUndo({ retention, now }: Keeping): RawBuilder<boolean> {
  return sql<boolean>`(j.loaded_at < ${cutoffOf({ days: retention.undoDays, now })}
    and not exists (select from jobs u where u.type = 'undo' and u.completed_at is null
      and u.dataset_id is not distinct from j.dataset_id))`
}

/** SQL: the job `j` has rejects that somebody has yet to decide about, or that would be open again after an undo. */
export function hasOpenRejects({ retention, now }: Keeping): RawBuilder<boolean> {
  return sql<boolean>`exists (select from quarantined_records q left join jobs s on s.id = q.superseded_by
    where q.job_id = j.id and (q.state in ('open', 'fixed')
      or (q.state = 'superseded' and not s.batch_deleted
        and s.loaded_at >= ${cutoffOf({ days: retention.undoDays, now })})))`
}
