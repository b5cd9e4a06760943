-- The foundation: who, what is declared, jobs and what they leave behind, windows, the log of events, the first targets.
--
-- Two roles. The owner (who runs this file) does DDL and loads. The reader serves every query made for a person: it is
-- under row-level security and learns from transaction-local settings for whom it reads. Partitions are never granted
-- to it: a grant on a partition would go round the policy of its parent.

create extension if not exists btree_gist;

do $$
begin
  if not exists (select from pg_roles where rolname = 'aduana_reader') then
    create role aduana_reader nologin;
  end if;
exception when duplicate_object or unique_violation then
  null; -- another database of this server was migrated at the same moment
end
$$;

do $$
begin
  if not pg_has_role(current_user, 'aduana_reader', 'SET') then
    execute format('grant aduana_reader to %I with inherit false, set true', current_user);
  end if;
end
$$;

grant usage on schema public to aduana_reader;

-- For whom the reader reads -----------------------------------------------------------------------------------------

create function reader_user() returns uuid language sql stable parallel safe
  return nullif(current_setting('aduana.user_id', true), '')::uuid;
create function reader_is_admin() returns boolean language sql stable parallel safe
  return coalesce(current_setting('aduana.role', true), '') = 'admin';
-- null: all of them. Unset: none.
create function reader_companies() returns text[] language sql stable parallel safe
  return case coalesce(current_setting('aduana.companies', true), '')
           when '*' then null when '' then '{}'::text[] else current_setting('aduana.companies', true)::text[] end;
create function reader_warehouses() returns text[] language sql stable parallel safe
  return case coalesce(current_setting('aduana.warehouses', true), '')
           when '*' then null when '' then '{}'::text[] else current_setting('aduana.warehouses', true)::text[] end;
create function reader_sees(company text, warehouse text) returns boolean language sql stable parallel safe
  return (reader_companies() is null or company is null or company = any (reader_companies()))
     and (reader_warehouses() is null or warehouse is null or warehouse = any (reader_warehouses()));

-- Users -------------------------------------------------------------------------------------------------------------

create table users (
  id uuid primary key default gen_random_uuid(),
  email text not null check (email = lower(email) and email like '%_@_%' and length(email) <= 254),
  password_hash text not null,
  role text not null check (role in ('viewer', 'operator', 'steward', 'admin')),
  tenant text not null default 'default' check (length(tenant) between 1 and 100),
  companies text[],  -- null: all
  warehouses text[], -- null: all
  disabled_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint users_email_unique unique (email)
);

-- One-time keys that open a WebSocket: they live for seconds and are burnt when used.
create table ws_tickets (
  ticket_hash text primary key,
  user_id uuid not null references users on delete cascade,
  expires_at timestamptz not null
);

-- Datasets ----------------------------------------------------------------------------------------------------------

create table datasets (
  id uuid primary key default gen_random_uuid(),
  code text not null check (code ~ '^[a-z][a-z0-9_]{0,54}$'),
  current_version integer not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint datasets_code_unique unique (code)
);

create table dataset_versions (
  dataset_id uuid not null references datasets,
  version integer not null check (version > 0),
  definition jsonb not null,
  definition_sha256 text not null check (definition_sha256 ~ '^[0-9a-f]{64}$'),
  created_at timestamptz not null default now(),
  created_by uuid references users,
  primary key (dataset_id, version)
);
alter table datasets add constraint datasets_current_version_fk
  foreign key (id, current_version) references dataset_versions (dataset_id, version) deferrable initially deferred;

-- Jobs --------------------------------------------------------------------------------------------------------------

create table jobs (
  id uuid primary key default gen_random_uuid(),
  type text not null check (type in ('import', 'sync', 'replay', 'undo', 'export', 'integrity-check')),
  status text not null default 'QUEUED'
    check (status in ('QUEUED', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED')),
  stage text check (stage in ('parse', 'validate', 'quarantine', 'load', 'fan-out')),
  waiting_for text check (waiting_for in ('window', 'approval', 'dependency')),
  dataset_id uuid references datasets,
  user_id uuid not null references users,
  tenant text not null,
  companies text[],  -- the uploader's scope when the job was accepted; null: all
  warehouses text[],
  priority smallint not null default 0 check (priority between -100 and 100),
  start_at timestamptz,
  parent_id uuid references jobs,
  parameters jsonb not null default '{}',
  -- The bytes that an import brings. Here and not in imports, because the database itself enforces "the same bytes once".
  content_sha256 text check (content_sha256 ~ '^[0-9a-f]{64}$'),
  forced boolean not null default false,
  dry_run boolean not null default false,
  -- Fencing: `attempt` counts admissions, `version` every guarded change of the row.
  attempt integer not null default 0,
  version bigint not null default 0,
  lost_count integer not null default 0, -- admissions in a row whose work vanished
  admitted_at timestamptz,
  cancel_requested_at timestamptz,
  loaded_at timestamptz, -- the point of no return
  -- What users see.
  progress numeric(5, 2) not null default 0 check (progress between 0 and 100),
  message text not null default '',
  total_items bigint,
  processed_items bigint,
  rows_per_second numeric,
  eta_seconds numeric,
  records bigint check (records >= 0),
  loaded bigint check (loaded >= 0),
  inserted bigint check (inserted >= 0),
  updated bigint check (updated >= 0),
  unchanged bigint check (unchanged >= 0),
  removed bigint check (removed >= 0),
  quarantined bigint check (quarantined >= 0),
  duplicates bigint check (duplicates >= 0),
  result jsonb,
  error jsonb,
  batch_deleted boolean not null default false,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  completed_at timestamptz,
  updated_at timestamptz not null default now(),
  constraint jobs_conservation check (
    type <> 'import' or status <> 'COMPLETED' or dry_run
    or (records is not null and loaded is not null and unchanged is not null
        and quarantined is not null and duplicates is not null and removed is not null
        and inserted is not null and updated is not null
        and records = loaded + unchanged + quarantined + duplicates
        and loaded = inserted + updated)),
  constraint jobs_final_has_end check ((status in ('COMPLETED', 'FAILED', 'CANCELLED')) = (completed_at is not null)),
  constraint jobs_failed_has_error check (status <> 'FAILED' or error is not null),
  constraint jobs_completed_has_loaded check (type <> 'import' or dry_run or status <> 'COMPLETED' or loaded_at is not null),
  constraint jobs_waiting_is_active check (waiting_for is null or status in ('QUEUED', 'PROCESSING'))
);

-- The same bytes for the same dataset are not loaded twice.
create unique index jobs_same_bytes_once on jobs (dataset_id, content_sha256)
  where type = 'import' and status not in ('FAILED', 'CANCELLED') and not batch_deleted and not forced and not dry_run;
create index jobs_queue on jobs (priority desc, created_at) where status = 'QUEUED';
create index jobs_active on jobs (tenant) where status = 'PROCESSING';
create index jobs_of_user on jobs (user_id, created_at desc, id desc);
create index jobs_newest on jobs (created_at desc, id desc);

create table imports (
  job_id uuid primary key references jobs,
  import_no integer generated always as identity,
  dataset_id uuid not null,
  dataset_version integer not null,
  mode text not null check (mode in ('replace-window', 'upsert', 'append')),
  file_name text not null,
  bytes bigint not null check (bytes >= 0),
  declared_window daterange check (not isempty(declared_window) and not lower_inf(declared_window) and not upper_inf(declared_window)),
  found_window daterange check (not isempty(found_window)),
  scopes text[] not null default '{}', -- the replace scopes found in the accepted rows
  on_conflict text not null default 'reject' check (on_conflict in ('reject', 'wait')),
  encoding text,  -- declared by the uploader
  delimiter text, -- declared by the uploader
  constraint imports_number_unique unique (import_no),
  foreign key (dataset_id, dataset_version) references dataset_versions (dataset_id, version)
);

create table stage_results (
  job_id uuid not null references jobs,
  stage text not null check (stage in ('parse', 'validate', 'quarantine', 'load', 'fan-out')),
  attempt integer not null,
  try integer not null, -- a stage can be delivered more than once within an attempt
  state text not null check (state in ('running', 'done', 'failed', 'lost')),
  worker text not null,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  output jsonb,
  error jsonb,
  primary key (job_id, stage, attempt, try),
  constraint stage_results_end check ((state = 'running') = (finished_at is null))
);
create unique index stage_results_done_once on stage_results (job_id, stage) where state = 'done';

create table artifacts (
  job_id uuid not null references jobs,
  name text not null check (name ~ '^[a-z0-9][a-z0-9._-]{0,99}$'),
  key text not null,
  media_type text not null,
  bytes bigint not null check (bytes >= 0),
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  stage text,
  attempt integer not null,
  downloadable boolean not null default true,
  created_at timestamptz not null default now(),
  primary key (job_id, name),
  constraint artifacts_key_unique unique (key)
);

-- A disk store belongs to one host; the marker in its root must be the one written here.
create table artifact_stores (
  name text primary key,
  marker uuid not null,
  created_at timestamptz not null default now()
);

create table quarantined_records (
  id bigint primary key, -- import_no << 32 | record
  job_id uuid not null references jobs,
  dataset_id uuid not null references datasets,
  record bigint not null check (record > 0),
  line bigint not null check (line > 0),
  codes text[] not null check (cardinality(codes) > 0),
  columns text[] not null,
  reasons jsonb not null check (jsonb_typeof(reasons) = 'array' and jsonb_array_length(reasons) > 0),
  raw text not null,
  raw_truncated boolean not null default false,
  state text not null default 'open' check (state in ('open', 'fixed', 'replayed', 'discarded', 'superseded')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint quarantined_records_record_unique unique (job_id, record)
);
create index quarantined_records_open on quarantined_records (dataset_id, created_at) where state = 'open';

-- Windows -----------------------------------------------------------------------------------------------------------

create sequence window_fence as bigint;

-- Who may write into (dataset, scope, days) now. Overlap is impossible here, whatever the code does.
create table window_locks (
  id bigint generated always as identity primary key,
  job_id uuid not null references jobs,
  dataset_id uuid not null references datasets,
  scope text not null default '',
  days daterange not null check (not isempty(days)),
  fence bigint not null default nextval('window_fence'),
  created_at timestamptz not null default now(),
  constraint window_locks_no_overlap exclude using gist (dataset_id with =, scope with =, days with &&)
);
create index window_locks_of_job on window_locks (job_id);

-- Which process works under the locks of a job, by the database's clock. A row of its own: the load holds the lock rows.
create table window_leases (
  job_id uuid primary key references jobs,
  fence bigint not null,
  holder text not null,
  backend_pid integer,
  backend_start timestamptz,
  expires_at timestamptz not null
);

-- Those who wait for a window, in the order in which they came.
create table window_waiters (
  id bigint generated always as identity primary key,
  job_id uuid not null references jobs,
  dataset_id uuid not null references datasets,
  scope text not null default '',
  days daterange not null check (not isempty(days)),
  since timestamptz not null default now(),
  constraint window_waiters_once unique (job_id, scope)
);
create index window_waiters_overlap on window_waiters using gist (dataset_id, scope, days);

-- Which job brought the rows that a day of a dataset and scope holds now.
create table window_ledger (
  dataset_id uuid not null references datasets,
  scope text not null default '',
  day date not null,
  job_id uuid not null references jobs,
  rows bigint not null check (rows >= 0),
  version bigint not null default 1,
  updated_at timestamptz not null default now(),
  primary key (dataset_id, scope, day)
);
create index window_ledger_of_job on window_ledger (job_id);

-- What happened -----------------------------------------------------------------------------------------------------

create table dataset_updates (
  id uuid primary key default gen_random_uuid(),
  dataset_id uuid not null references datasets,
  job_id uuid references jobs,
  event_key text not null,
  days datemultirange not null,
  scopes text[] not null default '{}',
  rows bigint not null check (rows >= 0),
  created_at timestamptz not null default now(),
  fanned_out_at timestamptz,
  constraint dataset_updates_event_once unique (event_key)
);
create index dataset_updates_of_dataset on dataset_updates (dataset_id, created_at);

-- The immutable record of every event, and the only outbox: what leaves the system is polled by sent_at.
create table event_log (
  id bigint generated always as identity primary key,
  event_key text not null,
  type text not null,
  job_id uuid references jobs,
  dataset_id uuid references datasets,
  body jsonb not null,
  occurred_at timestamptz not null default now(),
  outbound boolean not null default false,
  sent_at timestamptz,
  constraint event_log_once unique (event_key)
);
create index event_log_unsent on event_log (id) where outbound and sent_at is null;
create index event_log_of_job on event_log (job_id);

create table audit_log (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  actor uuid references users,
  action text not null,
  subject_type text not null,
  subject_id text not null,
  details jsonb not null default '{}'
);
create index audit_log_subject on audit_log (subject_type, subject_id);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end
$$;
create trigger audit_log_append_only before update or delete on audit_log
  for each row execute function refuse_change();

create trigger audit_log_no_truncate before truncate on audit_log
  for each statement execute function refuse_change();

create function event_log_only_sent() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' or (to_jsonb(new) - 'sent_at') is distinct from (to_jsonb(old) - 'sent_at') then
    raise exception 'event_log is append-only; only sent_at may be set' using errcode = 'restrict_violation';
  end if;
  return new;
end
$$;
create trigger event_log_append_only before update or delete on event_log
  for each row execute function event_log_only_sent();
create trigger event_log_no_truncate before truncate on event_log
  for each statement execute function refuse_change();

-- Targets: production -----------------------------------------------------------------------------------------------

create table dim_maquina (
  id bigint generated always as identity primary key,
  codigo varchar(20) not null,
  nombre varchar(200),
  created_at timestamptz not null default now(),
  created_by_job uuid references jobs,
  constraint dim_maquina_codigo_unique unique (codigo)
);
create table dim_maquinista (
  id bigint generated always as identity primary key,
  codigo varchar(20) not null,
  nombre varchar(200),
  created_at timestamptz not null default now(),
  created_by_job uuid references jobs,
  constraint dim_maquinista_codigo_unique unique (codigo)
);

-- Facts point at dimension members by surrogate id. A foreign key would be checked row by row while millions load; the
-- load looks every id up itself, and members can be neither deleted nor renumbered, so the pointer cannot dangle.
create function keep_member() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' or new.id <> old.id or new.codigo <> old.codigo then
    raise exception 'a member of % is never deleted or renumbered: facts point at it', tg_table_name
      using errcode = 'restrict_violation';
  end if;
  return new;
end
$$;
create trigger dim_maquina_keep before update or delete on dim_maquina for each row execute function keep_member();
create trigger dim_maquinista_keep before update or delete on dim_maquinista for each row execute function keep_member();
create trigger dim_maquina_no_truncate before truncate on dim_maquina
  for each statement execute function refuse_change();
create trigger dim_maquinista_no_truncate before truncate on dim_maquinista
  for each statement execute function refuse_change();

create table fact_production (
  id bigint not null,
  fecha_contabilizacion date not null,
  maquina_id bigint not null,
  maquinista_id bigint not null,
  turno smallint not null check (turno between 1 and 3),
  material varchar(40),
  lote varchar(40) not null,
  cantidad integer not null check (cantidad >= 0),
  peso_neto numeric(12, 3) not null check (peso_neto >= 0),
  observacion varchar(500),
  primary key (id, fecha_contabilizacion)
) partition by range (fecha_contabilizacion);
create index fact_production_day_machine on fact_production (fecha_contabilizacion, maquina_id);

-- Targets: orders ---------------------------------------------------------------------------------------------------

create table order_detail (
  id bigint primary key,
  order_id varchar(50) not null,
  order_type varchar(50),
  "timestamp" timestamptz not null,
  customer_id varchar(50),
  items_count integer check (items_count >= 0),
  company varchar(100) not null,
  warehouse varchar(100) not null,
  source_modified_timestamp timestamptz not null,
  import_no integer not null,
  record bigint not null,
  row_hash text not null,
  etl_loaded_at timestamptz not null default now(),
  constraint order_detail_order_id_unique unique (order_id)
);
create index order_detail_day on order_detail ("timestamp");

-- Targets: time-card summaries --------------------------------------------------------------------------------------

create table resumen_tarjeta (
  id bigint primary key,
  lote_id uuid not null,
  fecha date not null,
  trabajador_codigo varchar(20) not null,
  trabajador_nombre varchar(200),
  centro_costo varchar(40) not null,
  turno smallint check (turno between 1 and 3),
  horas_ordinarias numeric(5, 2) check (horas_ordinarias >= 0),
  horas_extra numeric(5, 2) check (horas_extra >= 0),
  horas_nocturnas numeric(5, 2) check (horas_nocturnas >= 0),
  horas_festivas numeric(5, 2) check (horas_festivas >= 0),
  observacion varchar(500),
  created_at timestamptz not null default now()
);
create index resumen_tarjeta_batch on resumen_tarjeta (lote_id);
create index resumen_tarjeta_day on resumen_tarjeta (fecha);

-- What the reader may see -------------------------------------------------------------------------------------------

grant select (id, email, role, tenant, companies, warehouses, disabled_at, created_at, updated_at) on users to aduana_reader;
grant select on jobs, imports, stage_results, artifacts, quarantined_records, datasets, dataset_versions,
  window_ledger, window_locks, window_waiters, dataset_updates, dim_maquina, dim_maquinista, fact_production,
  order_detail, resumen_tarjeta to aduana_reader;

alter table jobs enable row level security;
create policy jobs_read on jobs for select to aduana_reader
  using (reader_is_admin() or user_id = reader_user());

alter table imports enable row level security;
create policy imports_read on imports for select to aduana_reader
  using (exists (select from jobs where jobs.id = imports.job_id));
alter table stage_results enable row level security;
create policy stage_results_read on stage_results for select to aduana_reader
  using (exists (select from jobs where jobs.id = stage_results.job_id));
-- A file of a job shows all of its rows: it is for those who hold the whole scope of the job.
alter table artifacts enable row level security;
create policy artifacts_read on artifacts for select to aduana_reader
  using (exists (select from jobs where jobs.id = artifacts.job_id
    and (reader_companies() is null or jobs.companies <@ reader_companies())
    and (reader_warehouses() is null or jobs.warehouses <@ reader_warehouses())));
alter table quarantined_records enable row level security;
create policy quarantined_records_read on quarantined_records for select to aduana_reader
  using (exists (select from jobs where jobs.id = quarantined_records.job_id
    and (reader_companies() is null or jobs.companies <@ reader_companies())
    and (reader_warehouses() is null or jobs.warehouses <@ reader_warehouses())));
alter table users enable row level security;
create policy users_read on users for select to aduana_reader
  using (reader_is_admin() or id = reader_user());

alter table order_detail enable row level security;
create policy order_detail_read on order_detail for select to aduana_reader
  using (reader_sees(company, warehouse));
