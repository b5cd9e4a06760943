-- Control over jobs: undo, preview and approval, retention of files, requests that may be repeated, workers that say
-- what they serve.

-- Undo --------------------------------------------------------------------------------------------------------------

alter table jobs add constraint jobs_undo_has_parent check (type <> 'undo' or parent_id is not null);
-- An import is taken back once. A failed or cancelled undo may be followed by another.
create unique index jobs_one_undo on jobs (parent_id)
  where type = 'undo' and status in ('QUEUED', 'PROCESSING', 'COMPLETED');
-- The job that took the import back; one that unwinds takes back several.
alter table jobs add column undone_by uuid references jobs;
alter table jobs add constraint jobs_undone_by check (undone_by is null or batch_deleted);

-- Whom a day belonged to before a load took it over; nobody, where the former job is null. What an undo puts back.
create table window_ledger_before (
  job_id uuid not null references jobs,
  dataset_id uuid not null references datasets,
  scope text not null default '',
  day date not null,
  former_job_id uuid references jobs,
  former_rows bigint check (former_rows >= 0),
  primary key (job_id, scope, day),
  constraint window_ledger_before_whole check ((former_job_id is null) = (former_rows is null))
);
create index window_ledger_before_former on window_ledger_before (former_job_id);

alter table dataset_updates add column cause text not null default 'load' check (cause in ('load', 'undo'));

alter table quarantined_records add column superseded_by uuid references jobs;
alter table quarantined_records add constraint quarantined_records_superseded_by
  check (superseded_by is null or state = 'superseded');
create index quarantined_records_superseded on quarantined_records (superseded_by) where superseded_by is not null;

-- Preview and approval ----------------------------------------------------------------------------------------------

alter table imports add column require_approval boolean not null default false;
-- Since when a steward may see the job, because it asks for approval.
alter table jobs add column approval_asked_at timestamptz;

-- What a load would do, computed against the target as `basis` describes it. Approved is this, and nothing else: when
-- the basis has changed by the time of the load, the approval has lapsed.
create table load_previews (
  job_id uuid primary key references jobs,
  basis_sha256 text not null check (basis_sha256 ~ '^[0-9a-f]{64}$'),
  preview jsonb not null check (jsonb_typeof(preview) = 'object'),
  created_at timestamptz not null default clock_timestamp(),
  approved_by uuid references users,
  approved_at timestamptz,
  constraint load_previews_approval_whole check ((approved_by is null) = (approved_at is null))
);

-- Retention ---------------------------------------------------------------------------------------------------------

-- When the bytes were removed; the row stays and says so.
alter table artifacts add column removed_at timestamptz;
create index artifacts_kept on artifacts (created_at) where removed_at is null;

-- Requests that may be repeated -------------------------------------------------------------------------------------

-- Written in the transaction that creates what the request asked for, so that either both are there or neither.
create table idempotency_keys (
  user_id uuid not null references users on delete cascade,
  key text not null check (length(key) between 1 and 255),
  request_sha256 text not null check (request_sha256 ~ '^[0-9a-f]{64}$'),
  status smallint not null check (status between 200 and 299),
  body jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (user_id, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);

-- Workers -----------------------------------------------------------------------------------------------------------

-- A worker that is able to take jobs says so every few seconds. One that has not said so for a while serves nothing.
create table workers (
  id text primary key,
  stages text[] not null check (stages <@ array['parse', 'validate', 'quarantine', 'load', 'fan-out']),
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp()
);

-- What the reader may see -------------------------------------------------------------------------------------------

create function reader_is_steward() returns boolean language sql stable parallel safe
  return coalesce(current_setting('aduana.role', true), '') = 'steward';

grant select on window_ledger_before, load_previews, workers to aduana_reader;

-- A steward also sees what asks for approval, if it lies within the own scope: whoever approves must see.
drop policy jobs_read on jobs;
create policy jobs_read on jobs for select to aduana_reader
  using (reader_is_admin() or user_id = reader_user()
    or (reader_is_steward() and approval_asked_at is not null
      and (reader_companies() is null or companies <@ reader_companies())
      and (reader_warehouses() is null or warehouses <@ reader_warehouses())));

alter table window_ledger_before enable row level security;
create policy window_ledger_before_read on window_ledger_before for select to aduana_reader
  using (exists (select from jobs where jobs.id = window_ledger_before.job_id));
alter table load_previews enable row level security;
create policy load_previews_read on load_previews for select to aduana_reader
  using (exists (select from jobs where jobs.id = load_previews.job_id
    and (reader_companies() is null or jobs.companies <@ reader_companies())
    and (reader_warehouses() is null or jobs.warehouses <@ reader_warehouses())));
