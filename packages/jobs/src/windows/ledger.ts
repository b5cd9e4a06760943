import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { addDays, type Day, type DayRange, daysBetween } from '@aduana/contracts/dates'
import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import { LedgerDay, type LedgerQuery } from '@aduana/contracts/window-ledger'
import { coversAll } from '@aduana/datasets/coverage'
import type { RegisteredDataset } from '@aduana/datasets/registry'
import { uncoveredDays } from '@aduana/datasets/stored-rows'
import { type Database, type ReadTx, readAs } from '@aduana/db/database'
import { sql } from 'kysely'
import { z } from 'zod'

/** The longest range that a query may have, and the default range. */
const MAX_DAYS = 1100
const USUAL_DAYS = 62

type Dataset = Pick<RegisteredDataset, 'id' | 'definition'>

/**
 * Returns the state of each day of a dataset, ordered by scope and day; days of the range that no job has loaded are
 * `missing`. The default range is the two months up to the last day that was loaded. Every reader gets the same state. The
 * job is null unless the reader may see it, and so is the number of rows unless the reader may see all rows of the day.
 * @throws ProblemError `bad_window`
 */
export async function readLedger(
  db: Database,
  principal: Principal,
  dataset: Dataset,
  query: LedgerQuery,
): Promise<LedgerDay[]> {
  // The rows of a day and their owners must be consistent: both are read from one snapshot.
  const { days, uncovered } = await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => {
      const range = await rangeOf(tx, dataset, query)
      const days = await readDays(tx, principal, dataset, { ...range, scope: query.scope })
      return { days, uncovered: await readUncovered(tx, principal, dataset.definition, range) }
    })
  const visible = await readAs(db, principal, (tx) => visibleJobs(tx, days))
  return days.map((day) => ({
    ...day,
    rows: day.rows > 0 && uncovered.has(placeOf(day)) ? null : day.rows,
    jobId: day.jobId !== null && visible.has(day.jobId) ? day.jobId : null,
  }))
}

async function rangeOf(tx: Database, { id }: Dataset, query: LedgerQuery): Promise<DayRange> {
  const last = await sql<{ day: Day | null }>`
    select max(day)::text as day from window_ledger where dataset_id = ${id}`.execute(tx)
  const to =
    query.to ??
    addDays(
      query.from ?? last.rows[0]?.day ?? new Date().toISOString().slice(0, 10),
      query.from ? USUAL_DAYS : 1,
    )
  const from = query.from ?? addDays(to, -USUAL_DAYS)
  assertRange(from, to)
  return { from, to }
}

/** A day with its number of rows, before it is restricted to what the reader may see. */
const KnownDay = LedgerDay.extend({ rows: z.int().nonnegative() })
type KnownDay = z.infer<typeof KnownDay>

async function readDays(
  tx: Database,
  principal: Principal,
  { id, definition }: Dataset,
  { from, to, scope }: DayRange & { scope: string | undefined },
): Promise<KnownDay[]> {
  const shown = scopesOf(definition, principal)
  const rows = await sql`
    with scopes as (
      select distinct scope from window_ledger where dataset_id = ${id}
      union select distinct scope from window_locks where dataset_id = ${id}
      union select ''
        where not exists (select from window_ledger where dataset_id = ${id} and scope <> '')
    ), days as (
      select s.scope, d::date as day from scopes s,
        generate_series(${from}::date, ${to}::date - 1, interval '1 day') d
      where (${scope ?? null}::text is null or s.scope = ${scope ?? null})
        and (s.scope = '' or ${shown}::text[] is null or s.scope = any (${shown}::text[]))
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
      left join window_ledger l on l.dataset_id = ${id} and l.scope = d.scope and l.day = d.day
      left join jobs j on j.id = l.job_id
      left join window_locks k on k.dataset_id = ${id} and k.scope = d.scope and k.days @> d.day
    order by d.scope, d.day`.execute(tx)
  return z.array(KnownDay).parse(rows.rows)
}

/** Returns the replace scopes that a reader may see, where they are companies or warehouses; null means all. */
function scopesOf({ replaceScope, scope }: DatasetDefinition, principal: Principal): string[] | null {
  if (replaceScope === undefined) return null
  if (replaceScope === scope?.company) return principal.companies
  return replaceScope === scope?.warehouse ? principal.warehouses : null
}

const Places = z.array(z.object({ scope: z.string(), day: z.string() }))

/** Returns the days with rows that the reader may not see. */
async function readUncovered(
  tx: Database,
  principal: Principal,
  definition: DatasetDefinition,
  range: DayRange,
): Promise<Set<string>> {
  if (definition.windowColumn === undefined || coversAll(definition, principal)) return new Set()
  const found = await sql.raw(uncoveredDays(definition, range, principal)).execute(tx)
  return new Set(Places.parse(found.rows).map(placeOf))
}

function placeOf({ scope, day }: { scope: string; day: string }): string {
  return `${day} ${scope}`
}

/** Returns those jobs of the given days that the reader may see. */
async function visibleJobs(tx: ReadTx, days: readonly KnownDay[]): Promise<Set<string>> {
  const ids = [...new Set(days.flatMap(({ jobId }) => jobId ?? []))]
  if (ids.length === 0) return new Set()
  const rows = await tx.selectFrom('jobs').select('id').where('id', 'in', ids).execute()
  return new Set(rows.map(({ id }) => id))
}

function assertRange(from: Day, to: Day): void {
  if (from >= to)
    throw new ProblemError(
      'bad_window',
      `from (${from}) must be before to (${to}); to is the first day after the range.`,
    )
  if (daysBetween(from, to) > MAX_DAYS)
    throw new ProblemError(
      'bad_window',
      `The range ${from} to ${to} is too long. A query may span at most ${MAX_DAYS} days. Send several queries.`,
    )
}
