-- Metrics that are computed outside: results that come as files, messages that come over queues.

-- In whose name results are imported. Nobody can log in as it.
insert into users (id, email, password_hash, role, disabled_at)
values ('00000000-0000-4000-8000-00000000a0da', 'runs@aduana.invalid', '!', 'operator', now())
on conflict (id) do nothing;

-- As many records as its sender says the file has.
alter table imports add column expected_records bigint check (expected_records >= 0);
-- Of an import whose file is not here yet: what lists the files that make it, and its checksum.
alter table imports add column manifest jsonb check (jsonb_typeof(manifest) = 'object');

create unique index metric_runs_import_once on metric_runs (job_id) where job_id is not null;

-- The results of runs as their runners computed them, by the import that brought them. The values of the metrics are
-- in daily_metrics: a run that succeeds puts them there.
create table metric_result (
  id bigint not null,
  metric varchar(100) not null,
  date date not null,
  company varchar(100),
  warehouse varchar(100),
  value numeric(38, 16) not null,
  constraint metric_result_pkey primary key (id)
);
create index metric_result_day on metric_result (metric, date);
grant select on metric_result to aduana_reader;
alter table metric_result enable row level security;
-- What a metric may show, and to whom, only daily_metrics knows.
create policy metric_result_read on metric_result for select to aduana_reader
  using (reader_companies() is null and reader_warehouses() is null);

-- Messages that were refused for good, newest first.
create index event_log_refused on event_log (id desc) where type = 'message.refused';
