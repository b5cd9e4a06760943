-- Retention of rows: how events may be removed, and the indexes that its questions need.

-- The log stays append-only. The retention may remove an event, in a transaction that says so, once the event is old
-- enough, has been sent, and its job has ended. Its own setting can only keep events for longer than this.
create or replace function event_log_only_sent() returns trigger language plpgsql as $$
declare
  sending text[] := array['sent_at', 'send_attempts', 'send_after', 'send_error'];
begin
  if tg_op = 'DELETE' then
    if current_setting('aduana.retention', true) is distinct from 'on' then
      raise exception 'event_log is append-only; only the retention removes events' using errcode = 'restrict_violation';
    end if;
    if old.occurred_at >= clock_timestamp() - interval '7 days'
      or (old.outbound and old.sent_at is null)
      or exists (select from jobs where id = old.job_id and completed_at is null) then
      raise exception 'event % is younger than seven days, not sent, or of a job that has not ended', old.id
        using errcode = 'restrict_violation';
    end if;
    return old;
  end if;
  if (to_jsonb(new) - sending) is distinct from (to_jsonb(old) - sending) then
    raise exception 'event_log is append-only; only how it was sent may be set' using errcode = 'restrict_violation';
  end if;
  return new;
end
$$;

-- Without these each removed run, or update, would be looked for in all rows that may point at it.
create index metric_runs_takers on metric_runs (taken_over_by) where taken_over_by is not null;
create index metric_run_pending_satisfied on metric_run_pending_datasets (satisfied_by) where satisfied_by is not null;
create index metric_runs_without_values on metric_runs (metric_id)
  where status in ('FAILED', 'EXPIRED', 'CANCELLED') and taken_over_by is null;
