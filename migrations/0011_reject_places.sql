-- Where the bytes of a reject are in its file, unpacked. Null for rejects that were stored before their places were kept.
alter table quarantined_records add column byte_offset bigint check (byte_offset >= 0);
alter table quarantined_records add column byte_length bigint check (byte_length >= 0);
alter table quarantined_records add constraint quarantined_records_place
  check ((byte_offset is null) = (byte_length is null));

-- How the file was read: its header as it stands there, its delimiter and its encoding. Null before the file was read.
alter table imports add column layout jsonb check (jsonb_typeof(layout) = 'object');
