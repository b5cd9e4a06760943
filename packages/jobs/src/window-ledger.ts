import { addDays, type Day, daysBetween } from '@aduana/contracts/dates'
import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import { LedgerDay, type LedgerQuery } from '@aduana/contracts/window-ledger'
import { type Database, readAs } from '@aduana/db/database'
import { sql } from 'kysely'
import { z } from 'zod'

/** The longest range that is shown at once, and how much is shown when nothing is said. */
const LONGEST_DAYS = 1100
const USUAL_DAYS = 62

/**
 * Which job owns which day of a dataset, in the order of scopes and days; days of the range that nobody has loaded are
 * `missing`. Without a range: the two months up to the last day that was loaded.
 * @throws ProblemError `bad_window`
 */
export function readLedger(
  db: Database,
  principal: Principal,
  datasetId: string,
  query: LedgerQuery,
): Promise<LedgerDay[]> {
  return readAs(db, principal, async (tx) => {
    const last = await sql<{ day: Day | null }>`
      select max(day)::text as day from window_ledger where dataset_id = ${datasetId}`.execute(tx)
    const to =
      query.to ??
      addDays(
        query.from ?? last.rows[0]?.day ?? new Date().toISOString().slice(0, 10),
        query.from ? USUAL_DAYS : 1,
      )
    const from = query.from ?? addDays(to, -USUAL_DAYS)
    refuseRange(from, to)
    const rows = await sql`
      with scopes as (
        select distinct scope from window_ledger where dataset_id = ${datasetId}
        union select distinct scope from window_locks where dataset_id = ${datasetId}
        union select ''
          where not exists (select from window_ledger where dataset_id = ${datasetId} and scope <> '')
      ), days as (
        select s.scope, d::date as day from scopes s,
          generate_series(${from}::date, ${to}::date - 1, interval '1 day') d
        where (${query.scope ?? null}::text is null or s.scope = ${query.scope ?? null})
          and (s.scope = '' or reader_companies() is null or s.scope = any (reader_companies()))
      )
      select d.scope, d.day::text as day, coalesce(l.rows, 0)::int as rows,
        coalesce(k.job_id, l.job_id) as "jobId",
        to_char(l.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "updatedAt",
        case
          when k.job_id is not null then 'locked'
          when l.job_id is null then 'missing'
          when j.batch_deleted then 'undone'
          when exists (select from quarantined_records q where q.job_id = l.job_id and q.state = 'open') then 'partial'
          else 'loaded'
        end as state
      from days d
        left join window_ledger l on l.dataset_id = ${datasetId} and l.scope = d.scope and l.day = d.day
        left join jobs j on j.id = l.job_id
        left join window_locks k on k.dataset_id = ${datasetId} and k.scope = d.scope and k.days @> d.day
      order by d.scope, d.day`.execute(tx)
    return z.array(LedgerDay).parse(rows.rows)
  })
}

function refuseRange(from: Day, to: Day): void {
  if (from >= to) throw new ProblemError('bad_window', `from (${from}) must be before to (${to}).`)
  if (daysBetween(from, to) > LONGEST_DAYS)
    throw new ProblemError(
      'bad_window',
      `${from} to ${to} is more than the ${LONGEST_DAYS} days that are shown at once.`,
    )
}
