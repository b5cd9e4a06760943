/** A promise of the product as a query that returns one row `{what}` for each violation. */
export interface PromiseCheck {
  /** G1 to G8, as docs/guides/faults.md lists them. */
  promise: string
  /** What a returned row means. */
  broken: string
  sql: string
}

/** The effective loads: imports that are loaded and not undone. */
export const LOADS = `select j.id as job_id, j.dataset_id, j.loaded_at, j.inserted, i.import_no, i.mode, i.scopes, u.days
  from jobs j join imports i on i.job_id = j.id join dataset_updates u on u.job_id = j.id and u.cause = 'load'
  where j.type = 'import' and j.loaded_at is not null and not j.batch_deleted and not j.dry_run`

const STAGE_OUTPUTS = `select j.*, p.output as parsed, v.output as validated
  from jobs j
    left join stage_results p on p.job_id = j.id and p.stage = 'parse' and p.state = 'done'
    left join stage_results v on v.job_id = j.id and v.stage = 'validate' and v.state = 'done'
  where j.type = 'import' and j.status = 'COMPLETED' and not j.dry_run`

/** What must hold for every installation once all work has ended. */
export const PROMISES: readonly PromiseCheck[] = [
  {
    promise: 'G1',
    broken: 'records do not add up',
    sql: `select id || ': ' || concat_ws(' ', records, loaded, unchanged, quarantined, duplicates, conflicts) as what from jobs
      where type = 'import' and status = 'COMPLETED' and not dry_run
        and (records = loaded + unchanged + quarantined + duplicates + coalesce(conflicts, 0) and loaded = inserted + updated) is not true`,
  },
  {
    promise: 'G1',
    broken: 'a job with other counts than its stages',
    sql: `select id || ': ' || concat_ws(' ', parsed->>'records', validated->>'clean', validated->>'rejected') as what
      from (${STAGE_OUTPUTS}) j
      where ((parsed->>'records')::bigint = records and (validated->>'clean')::bigint = loaded + unchanged
        and (validated->>'rejected')::bigint = quarantined and (validated->>'duplicates')::bigint = duplicates and coalesce((validated->>'conflicts')::bigint, 0) = coalesce(conflicts, 0)) is not true`,
  },
  {
    promise: 'G2',
    broken: 'a load without exactly one dataset update',
    sql: `select j.id || ': ' || count(u.id) as what from jobs j
        left join dataset_updates u on u.job_id = j.id and u.cause = 'load'
      where j.type = 'import' group by j.id
      having count(u.id) <> (j.loaded_at is not null and not j.dry_run)::int`,
  },
  {
    promise: 'G2',
    broken: 'a missing or duplicate event',
    sql: `select j.id || ': ' || e.type as what from jobs j
        cross join (values ('job.accepted'), ('job.completed'), ('job.cancelled'), ('dataset.updated')) as e(type)
        left join event_log l on l.job_id = j.id and l.type = e.type
      where j.type = 'import' and not j.dry_run group by j.id, e.type
      having count(l.id) <> case e.type when 'job.accepted' then 1 when 'job.completed' then (j.status = 'COMPLETED')::int
        when 'job.cancelled' then (j.status = 'CANCELLED')::int else (j.loaded_at is not null)::int end`,
  },
  {
    promise: 'G2',
    broken: 'an attempt that was not admitted exactly once',
    sql: `select j.id || ': ' || j.attempt || ' attempts, ' || count(l.id) || ' admissions' as what from jobs j
        left join event_log l on l.job_id = j.id and l.type = 'job.admitted'
      group by j.id having count(l.id) <> j.attempt`,
  },
  {
    promise: 'G2',
    broken: 'a completed import whose stages are not all done, or whose update was not fanned out',
    sql: `select j.id::text as what from jobs j
      where j.type = 'import' and j.status = 'COMPLETED' and not j.dry_run
        and ((select count(*) from stage_results s where s.job_id = j.id and s.state = 'done') <> 5
          or exists (select from dataset_updates u where u.job_id = j.id and u.fanned_out_at is null))`,
  },
  {
    promise: 'G2',
    broken: 'results of a run attempt that were imported twice',
    sql: `select concat_ws(' ', manifest ->> 'runId', manifest ->> 'attempt', count(*)) as what from imports
      where manifest is not null group by manifest ->> 'runId', manifest ->> 'attempt' having count(*) > 1`,
  },
  {
    promise: 'G4',
    broken: 'a running run although the import of its results has ended',
    sql: `select r.id || ' of ' || j.id || ' ' || j.status as what from metric_runs r join jobs j on j.id = r.job_id
      where r.status = 'RUNNING' and j.completed_at is not null`,
  },
  {
    promise: 'G3',
    broken: 'locks that overlap',
    sql: `select a.job_id || ' and ' || b.job_id as what from window_locks a join window_locks b
      on a.id < b.id and a.dataset_id = b.dataset_id and a.scope = b.scope and a.days && b.days`,
  },
  {
    promise: 'G4',
    broken: 'a job without a final state',
    sql: `select id || ' ' || status || ' ' || coalesce(stage, '') || ' ' || message as what from jobs where completed_at is null`,
  },
  {
    promise: 'G4',
    broken: 'a leftover lock, lease, waiter or running stage attempt',
    sql: `select 'lock of ' || job_id as what from window_locks
      union all select 'lease of ' || job_id from window_leases
      union all select 'waiter ' || job_id from window_waiters
      union all select 'running ' || stage || ' of ' || job_id from stage_results where state = 'running'`,
  },
  {
    promise: 'G5',
    broken: 'rejects that are not all stored',
    sql: `select j.id || ': ' || count(q.id) || ' of ' || j.quarantined as what
      from jobs j join imports i on i.job_id = j.id
        join dataset_versions v on v.dataset_id = i.dataset_id and v.version = i.dataset_version
        left join quarantined_records q on q.job_id = j.id and q.id = (i.import_no::bigint << 32 | q.record)
      where j.type = 'import' and not j.dry_run
        and (j.status = 'COMPLETED' or j.error->>'code' = 'too_many_rejects')
      group by j.id, v.definition
      having count(q.id) <> least(j.quarantined, (j.error->>'kept')::bigint, (v.definition->>'quarantineCap')::bigint)`,
  },
  {
    promise: 'G5',
    broken: 'a reject without a reason',
    sql: `select job_id || ' record ' || record as what from quarantined_records, jsonb_array_elements(reasons) r
      where coalesce(r->>'code', '') = '' or coalesce(r->>'message', '') = ''`,
  },
  {
    promise: 'G5',
    broken: 'an import without a file of its original, rejects, duplicates or conflicts',
    sql: `select j.id || ' ' || n.name as what from jobs j cross join (values ('original'), ('rejects.ndjson'), ('duplicates.ndjson'), ('conflicts.ndjson')) n(name)
      where j.type = 'import' and j.status = 'COMPLETED' and not j.dry_run
        and (n.name <> 'conflicts.ndjson' or j.conflicts > 0)
        and not exists (select from artifacts a where a.job_id = j.id and a.name = n.name)`,
  },
  {
    promise: 'G5',
    broken: 'an import that succeeded without rows, or failed without a reason',
    sql: `select id || ' ' || status as what from jobs
      where (type = 'import' and status = 'COMPLETED' and not dry_run and loaded + unchanged = 0)
        or (status = 'FAILED' and (coalesce(error->>'code', '') = '' or coalesce(error->>'detail', '') = ''))`,
  },
  {
    promise: 'G7',
    broken: 'a completed job with a progress below 100',
    sql: `select id || ' ' || progress as what from jobs where status = 'COMPLETED' and progress <> 100`,
  },
]
