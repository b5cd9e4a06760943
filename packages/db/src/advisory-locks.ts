import { type RawBuilder, sql } from 'kysely'

/** SQL: the backends, but for the one that asks, that hold the advisory lock of a key in this database. */
export function holdersOf(key: RawBuilder<unknown>): RawBuilder<{ pid: number }> {
  return sql`select l.pid from pg_locks l
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and l.pid <> pg_backend_pid()
      and l.database = (select oid from pg_database where datname = current_database())
      and (l.classid::bigint << 32 | l.objid::bigint) = ${key}`
}
