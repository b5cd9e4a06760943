-- Progress is stored before it is published, and numbered where it is stored: `version` · 2^20 + `progress_tick`.

alter table jobs add column progress_tick integer not null default 0;
