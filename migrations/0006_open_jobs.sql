-- Windows belong to open jobs only: a job that is final holds no lock, waits for none, and has no lease.

-- The rows that earlier versions may have left behind. Jobs that wait for them are woken at the next round.
delete from window_waiters w using jobs j where j.id = w.job_id and j.completed_at is not null;
delete from window_leases l using jobs j where j.id = l.job_id and j.completed_at is not null;
delete from window_locks k using jobs j where j.id = k.job_id and j.completed_at is not null;

-- The share lock conflicts with every change of the job's row: whether the job is open stays as it is until the end of
-- the transaction. Who already holds the row, as every claim does, does not wait.
create function require_open_job() returns trigger language plpgsql as $$
declare
  ended timestamptz;
begin
  select completed_at into ended from jobs where id = new.job_id for share;
  if ended is not null then
    raise exception 'job % is final: it can have no row in %', new.job_id, tg_table_name
      using errcode = 'restrict_violation';
  end if;
  return new;
end
$$;
create trigger window_locks_open_job before insert or update of job_id on window_locks
  for each row execute function require_open_job();
create trigger window_waiters_open_job before insert or update of job_id on window_waiters
  for each row execute function require_open_job();
create trigger window_leases_open_job before insert or update of job_id on window_leases
  for each row execute function require_open_job();

-- Deferred: a transaction may end a job before it releases the windows of it.
create function require_released_windows() returns trigger language plpgsql as $$
begin
  if exists (select from window_locks where job_id = new.id)
    or exists (select from window_waiters where job_id = new.id)
    or exists (select from window_leases where job_id = new.id) then
    raise exception 'job % became final but has not released its windows', new.id
      using errcode = 'restrict_violation';
  end if;
  return null;
end
$$;
create constraint trigger jobs_released_windows after update of completed_at on jobs
  deferrable initially deferred for each row
  when (old.completed_at is null and new.completed_at is not null) execute function require_released_windows();

-- What a waiter waits for: a job that holds an overlapping window, or that comes before it in the line, or that has not
-- found its days yet. As long as that job stands in the way, the waiter need not be looked at.
alter table window_waiters add column blocked_by uuid references jobs;
create index window_waiters_blocked_by on window_waiters (blocked_by);
create index window_waiters_line on window_waiters (dataset_id, scope, job_id);

-- The jobs that may still find days of their own: as many as are in work at once, however many wait.
create index jobs_at_work on jobs (dataset_id, created_at, id) where status = 'PROCESSING' and waiting_for is null;
