-- Bytes of the file after unpacking; unknown until it was parsed.
alter table imports add column unpacked_bytes bigint check (unpacked_bytes >= 0);

-- What is packed in an artifact by gzip, and what a download gives: without it the bytes as they are stored.
alter table artifacts add column content_bytes bigint check (content_bytes >= 0);
alter table artifacts add column content_sha256 text check (content_sha256 ~ '^[0-9a-f]{64}$');
alter table artifacts add constraint artifacts_content_whole
  check ((content_bytes is null) = (content_sha256 is null));

-- Kept bytes -----------------------------------------------------------------------------------------------------------

-- What each tenant keeps: artifacts as they are stored, and rejects. The sum of a tenant's rows counts. A change adds a
-- row, so that commits of one tenant never wait for each other; housekeeping folds them into one.
create table tenant_bytes (
  id bigint generated always as identity primary key,
  tenant text not null,
  bytes bigint not null
);
create index tenant_bytes_tenant on tenant_bytes (tenant) include (bytes);

create function note_artifact_bytes() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into tenant_bytes (tenant, bytes)
    select j.tenant, sum(n.bytes) from new_rows n join jobs j on j.id = n.job_id
    where n.removed_at is null group by j.tenant having sum(n.bytes) <> 0;
  else
    insert into tenant_bytes (tenant, bytes)
    select j.tenant, sum(c.bytes)
    from (
      select job_id, bytes from new_rows where removed_at is null
      union all
      select job_id, -bytes from old_rows where removed_at is null
    ) c join jobs j on j.id = c.job_id
    group by j.tenant having sum(c.bytes) <> 0;
  end if;
  return null;
end $$;

create trigger artifacts_note_inserted after insert on artifacts
  referencing new table as new_rows for each statement execute function note_artifact_bytes();
create trigger artifacts_note_updated after update on artifacts
  referencing old table as old_rows new table as new_rows for each statement execute function note_artifact_bytes();

create function note_reject_bytes() returns trigger language plpgsql as $$
begin
  insert into tenant_bytes (tenant, bytes)
  select j.tenant, (case tg_op when 'INSERT' then 1 else -1 end) * sum(octet_length(c.raw) + pg_column_size(c.reasons))
  from changed c join jobs j on j.id = c.job_id
  group by j.tenant having count(*) > 0;
  return null;
end $$;

create trigger quarantined_records_note_inserted after insert on quarantined_records
  referencing new table as changed for each statement execute function note_reject_bytes();
create trigger quarantined_records_note_deleted after delete on quarantined_records
  referencing old table as changed for each statement execute function note_reject_bytes();

insert into tenant_bytes (tenant, bytes)
select j.tenant, sum(a.bytes) from artifacts a join jobs j on j.id = a.job_id
where a.removed_at is null group by j.tenant having sum(a.bytes) <> 0;
insert into tenant_bytes (tenant, bytes)
select j.tenant, sum(octet_length(q.raw) + pg_column_size(q.reasons))
from quarantined_records q join jobs j on j.id = q.job_id group by j.tenant;
