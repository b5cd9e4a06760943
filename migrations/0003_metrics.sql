-- Metrics: what is declared, what is pending, running and done, and the values.

-- Declared ----------------------------------------------------------------------------------------------------------

create table series (
  id uuid primary key default gen_random_uuid(),
  code text not null check (code ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$' and length(code) <= 100),
  title jsonb not null,
  unit text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint series_code_unique unique (code)
);

-- Where a series is: a column of a dataset; the rows themselves where the column is null.
create table dataset_series (
  dataset_id uuid not null references datasets,
  series_id uuid not null references series,
  column_name text,
  primary key (dataset_id, series_id),
  constraint dataset_series_one_place unique (series_id)
);

create table metrics (
  id uuid primary key default gen_random_uuid(),
  code text not null check (code ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$' and length(code) <= 100),
  current_version integer not null,
  -- The longest chain of metrics beneath it; 0 for a metric that needs no other.
  level integer not null default 0 check (level >= 0),
  retired_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint metrics_code_unique unique (code)
);

create table metric_versions (
  metric_id uuid not null references metrics,
  version integer not null check (version > 0),
  definition jsonb not null,
  definition_sha256 text not null check (definition_sha256 ~ '^[0-9a-f]{64}$'),
  expression_type text not null check (expression_type in ('aggregate', 'metric', 'constant', 'arithmetic', 'ratio',
    'rolling', 'cumulative', 'growth', 'conditional', 'filter', 'fallback')),
  expression_json jsonb not null,
  created_at timestamptz not null default now(),
  created_by uuid references users,
  primary key (metric_id, version)
);
alter table metrics add constraint metrics_current_version_fk
  foreign key (id, current_version) references metric_versions (metric_id, version) deferrable initially deferred;

-- What a metric in its current version needs: a dataset (by a series of it, or beneath another metric), a metric.
create table metric_dependencies (
  metric_id uuid not null references metrics,
  dataset_id uuid references datasets,
  series_id uuid references series,
  needs_metric_id uuid references metrics,
  required_days integer check (required_days > 0),
  constraint metric_dependencies_once unique nulls not distinct (metric_id, dataset_id, series_id, needs_metric_id),
  constraint metric_dependencies_one_kind check (num_nonnulls(dataset_id, series_id, needs_metric_id) = 1),
  constraint metric_dependencies_days check ((dataset_id is null) = (required_days is null)),
  constraint metric_dependencies_not_itself check (needs_metric_id is distinct from metric_id)
);
create index metric_dependencies_of_dataset on metric_dependencies (dataset_id) where dataset_id is not null;
create index metric_dependencies_of_metric on metric_dependencies (needs_metric_id) where needs_metric_id is not null;

-- Updates -----------------------------------------------------------------------------------------------------------

-- When it happened where it happened; and which companies and warehouses it touched. Null: all of them.
alter table dataset_updates add column occurred_at timestamptz not null default now();
alter table dataset_updates add column companies text[];
alter table dataset_updates add column warehouses text[];
create index dataset_updates_occurred on dataset_updates (dataset_id, occurred_at desc);

-- Runs --------------------------------------------------------------------------------------------------------------

create table metric_runs (
  id uuid primary key default gen_random_uuid(),
  metric_id uuid not null,
  metric_version integer not null,
  -- When the change happened for which it was made, and the day of that, in UTC.
  occurred_at timestamptz not null,
  as_of date not null,
  status text not null check (status in ('PENDING', 'REQUESTED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT',
    'EXPIRED', 'CANCELLED')),
  cause text not null check (cause in ('update', 'metric', 'recompute', 'definition')),
  -- What changed beneath: the days, and the companies and warehouses (null: all of them).
  days datemultirange not null,
  companies text[],
  warehouses text[],
  -- What came while the run was with its runner: the next run's.
  next_days datemultirange,
  next_companies text[],
  next_warehouses text[],
  attempt integer not null default 0 check (attempt >= 0),
  version bigint not null default 0,
  expires_at timestamptz,
  requested_at timestamptz,
  started_at timestamptz,
  last_heartbeat_at timestamptz,
  retry_at timestamptz,
  completed_at timestamptz,
  progress numeric(5, 4) not null default 0 check (progress between 0 and 1),
  message text not null default '',
  runner text,
  row_count bigint check (row_count >= 0),
  output_days datemultirange, -- the days whose values it has written
  manifest jsonb,
  job_id uuid references jobs, -- the import of an outside runner's files
  error jsonb,
  taken_over_by uuid references metric_runs, -- the later run that does what this one, expired, did not
  requested_by uuid references users,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  foreign key (metric_id, metric_version) references metric_versions (metric_id, version),
  constraint metric_runs_final_has_end
    check ((status in ('SUCCEEDED', 'FAILED', 'EXPIRED', 'CANCELLED')) = (completed_at is not null)),
  constraint metric_runs_failed_has_error check (status <> 'FAILED' or error is not null),
  constraint metric_runs_pending_expires check (status <> 'PENDING' or expires_at is not null),
  constraint metric_runs_requested_once_asked check (status not in ('REQUESTED', 'RUNNING') or requested_at is not null)
);
-- At most one open run for each metric and as-of date.
create unique index metric_runs_one_open on metric_runs (metric_id, as_of)
  where status in ('PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT');
create index metric_runs_left_over on metric_runs (metric_id) where status = 'EXPIRED' and taken_over_by is null;
create index metric_runs_by_status on metric_runs (status, created_at);
create index metric_runs_of_metric on metric_runs (metric_id, created_at desc);
create index metric_runs_newest on metric_runs (created_at desc, id desc);

-- What a pending run waits for, and until when; with the update once it came.
create table metric_run_pending_datasets (
  run_id uuid not null references metric_runs on delete cascade,
  dataset_id uuid not null references datasets,
  required_days integer not null check (required_days > 0),
  satisfied_by uuid references dataset_updates,
  satisfied_at timestamptz,
  primary key (run_id, dataset_id),
  constraint metric_run_pending_whole check ((satisfied_by is null) = (satisfied_at is null))
);
create index metric_run_pending_open on metric_run_pending_datasets (dataset_id) where satisfied_by is null;

-- The updates from which a run was computed; those for the next one while it was with its runner.
create table run_dataset_updates (
  run_id uuid not null references metric_runs on delete cascade,
  update_id uuid not null references dataset_updates,
  for_next boolean not null default false,
  primary key (run_id, update_id)
);
create index run_dataset_updates_of_update on run_dataset_updates (update_id);

-- Values ------------------------------------------------------------------------------------------------------------

create table daily_metrics (
  date date not null,
  metric_name varchar(100) not null,
  value numeric not null check (value <> 'NaN' and value not in ('Infinity', '-Infinity')),
  company varchar(100),
  warehouse varchar(100),
  last_updated timestamptz not null default now(),
  run_id uuid references metric_runs,
  -- The value is made of rows of several companies, or warehouses: only for who may see all of them.
  sums_companies boolean not null default false,
  sums_warehouses boolean not null default false,
  constraint daily_metrics_once unique nulls not distinct (metric_name, date, company, warehouse)
);
create index daily_metrics_of_run on daily_metrics (run_id);

create view metric_definition as
  select m.code as name, v.definition ->> 'description' as description,
    v.definition ->> 'role' as applicable_role, v.definition -> 'tabs' as tabs
  from metrics m join metric_versions v on v.metric_id = m.id and v.version = m.current_version
  where m.retired_at is null;

-- Outbox ------------------------------------------------------------------------------------------------------------

alter table event_log add column send_attempts integer not null default 0 check (send_attempts >= 0);
alter table event_log add column send_after timestamptz;
alter table event_log add column send_error text;

create or replace function event_log_only_sent() returns trigger language plpgsql as $$
declare
  sending text[] := array['sent_at', 'send_attempts', 'send_after', 'send_error'];
begin
  if tg_op = 'DELETE' or (to_jsonb(new) - sending) is distinct from (to_jsonb(old) - sending) then
    raise exception 'event_log is append-only; only how it was sent may be set' using errcode = 'restrict_violation';
  end if;
  return new;
end
$$;

-- What the reader may see -------------------------------------------------------------------------------------------

grant select on series, dataset_series, metrics, metric_versions, metric_dependencies, metric_runs,
  metric_run_pending_datasets, run_dataset_updates, daily_metrics, metric_definition to aduana_reader;
alter table daily_metrics enable row level security;
create policy daily_metrics_read on daily_metrics for select to aduana_reader
  using (reader_sees(company, warehouse)
    and (not sums_companies or reader_companies() is null)
    and (not sums_warehouses or reader_warehouses() is null));
