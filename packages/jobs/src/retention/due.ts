import { Retention } from '@aduana/contracts/dataset-definition'
import { listDatasets } from '@aduana/datasets/registry'
import type { Database } from '@aduana/db/database'
import { type RawBuilder, sql } from 'kysely'
import { cutoffOf } from './cutoff.ts'

/** The retention of the jobs of a dataset at a given time. A null dataset means jobs without one. */
export interface Keeping {
  datasetId: string | null
  retention: Retention
  now: Date
}

/** Returns the retention of each dataset by its current definition; jobs without a dataset have the defaults. */
export async function keepings(db: Database, now: Date): Promise<Keeping[]> {
  const datasets = await listDatasets(db)
  return [
    ...datasets.map(({ id, definition }) => ({ datasetId: id, retention: definition.retention, now })),
    { datasetId: null, retention: Retention.parse({}), now },
  ]
}

/**
 * Returns the SQL condition under which the bytes of an artifact `a` of a job `j` can be removed: the artifact is past its
 * retention, and no later action can need it.
 *
 * - An open job needs all of its files, and so does a job with an open undo or replay.
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
 * Returns SQL that is true when the import of the job `j` can no longer be undone. Never true while an undo of its dataset
 * is open: that undo may have begun in time, and may undo other imports too. The imports that an undo needs were loaded
 * after its own, so they never expire before it.
 */
export function isBeyondUndo({ retention, now }: Keeping): RawBuilder<boolean> {
  return sql<boolean>`(j.loaded_at < ${cutoffOf({ days: retention.undoDays, now })}
    and not exists (select from jobs u where u.type = 'undo' and u.completed_at is null
      and u.dataset_id is not distinct from j.dataset_id))`
}

/** Returns SQL that is true when the job `j` has rejects that are undecided, or that an undo would reopen. */
export function hasOpenRejects({ retention, now }: Keeping): RawBuilder<boolean> {
  return sql<boolean>`exists (select from quarantined_records q left join jobs s on s.id = q.superseded_by
    where q.job_id = j.id and (q.state = 'open'
      or (q.state = 'superseded' and not s.batch_deleted
        and s.loaded_at >= ${cutoffOf({ days: retention.undoDays, now })})))`
}
