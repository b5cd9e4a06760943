-- Records that agree in what must be unique, but differ elsewhere: no longer counted as duplicates. Null for imports of
-- before, and for those of programs that still count them so.
alter table jobs add column conflicts bigint check (conflicts >= 0);

alter table jobs drop constraint jobs_conservation;
alter table jobs add constraint jobs_conservation check (
  type <> 'import' or status <> 'COMPLETED' or dry_run
  or (records is not null and loaded is not null and unchanged is not null
      and quarantined is not null and duplicates is not null and removed is not null
      and inserted is not null and updated is not null
      and records = loaded + unchanged + quarantined + duplicates + coalesce(conflicts, 0)
      and loaded = inserted + updated));

-- What the rows of an append have in common with the same rows in another file: the same records are not added twice.
alter table imports add column rows_digest text check (rows_digest ~ '^[0-9a-f]{32}$');
create index imports_of_rows on imports (dataset_id, rows_digest) where rows_digest is not null;
