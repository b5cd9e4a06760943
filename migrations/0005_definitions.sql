-- breaking: every change of a series writes a version of it
-- Definitions that people change: series get versions, as datasets and metrics have.

create table series_versions (
  series_id uuid not null references series,
  version integer not null check (version > 0),
  definition jsonb not null,
  definition_sha256 text not null check (definition_sha256 ~ '^[0-9a-f]{64}$'),
  created_at timestamptz not null default now(),
  created_by uuid references users,
  primary key (series_id, version)
);

-- The first version of a series that is there already is how it stands now, in the name of who saved it last. The text
-- is that of the program, to the letter: its checksum must be the one that the program computes.
insert into series_versions (series_id, version, definition, definition_sha256, created_at, created_by)
select id, 1, text::jsonb, encode(sha256(convert_to(text, 'UTF8')), 'hex'), updated_at, saved_by
from (
  select s.id, s.updated_at,
    (select a.actor from audit_log a where a.action = 'series.save' and a.subject_type = 'series' and a.subject_id = s.code
      order by a.id desc limit 1) as saved_by,
    '{"code":' || to_json(s.code)
      || ',"title":{"en":' || to_json(s.title ->> 'en') || ',"es":' || to_json(s.title ->> 'es') || '}'
      || ',"dataset":' || coalesce(to_json(d.code)::text, 'null')
      || ',"column":' || coalesce(to_json(p.column_name)::text, 'null')
      || coalesce(',"unit":' || to_json(s.unit)::text, '') || '}' as text
  from series s
    left join dataset_series p on p.series_id = s.id
    left join datasets d on d.id = p.dataset_id
) stored;

alter table series add column current_version integer not null default 1;
alter table series alter column current_version drop default;
alter table series add constraint series_current_version_fk
  foreign key (id, current_version) references series_versions (series_id, version) deferrable initially deferred;

grant select on series_versions to aduana_reader;
