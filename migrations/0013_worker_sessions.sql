-- A worker holds an advisory lock named after `session`, on a connection of its own. PostgreSQL releases the lock when the
-- process dies. Null where its death shows only in missing heartbeats: without a session, or behind a pooler.
alter table workers add column session uuid;
-- Set by the worker that found the session ended; cleared by the next heartbeat, if it was wrong.
alter table workers add column ended_at timestamptz;

-- How a run was found to be lost.
alter table stage_results add column lost_because text
  check (lost_because in ('session ended', 'heartbeat timed out'));
alter table stage_results add constraint stage_results_lost check (state = 'lost' or lost_because is null);
