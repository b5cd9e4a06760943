import pg from 'pg'

const TABLES = `select t.relname::text as name from pg_class t
  where t.relnamespace = 'public'::regnamespace and t.relkind in ('r', 'p') and not t.relispartition
    and t.relname <> 'schema_migrations' order by 1`

async function tablesOf(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(TABLES)
  return rows.map(({ name }) => name)
}

/** Returns every row of every table as text, by table. */
export async function everyRow(pool: pg.Pool): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {}
  for (const name of await tablesOf(pool)) {
    const { rows } = await pool.query<{ row: string }>(
      `select to_jsonb(t)::text as row from "${name}" t order by 1`,
    )
    all[name] = rows.map(({ row }) => row)
  }
  return all
}

/**
 * Copies all rows of a database into another with an older schema. Columns and tables that are missing there are left
 * out, and so are the events of metrics, which that schema does not allow.
 */
export async function fillOlder(from: pg.Pool, url: string): Promise<void> {
  const to = new pg.Client({ connectionString: url })
  await to.connect()
  try {
    // Disables foreign keys and triggers: the rows are complete already.
    await to.query(`set session_replication_role = 'replica'`)
    const partitions = await from.query<{ statement: string }>(
      `select format('create table %I partition of %s %s', c.relname, i.inhparent::regclass, pg_get_expr(c.relpartbound, c.oid)) as statement
       from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relispartition and c.relkind = 'r'`,
    )
    for (const { statement } of partitions.rows) await to.query(statement)
    const { rows: tables } = await to.query<{ name: string }>(TABLES)
    for (const { name } of tables) {
      const where = name === 'event_log' ? `where type !~ '^(metric|aduana)'` : ''
      const { rows } = await from.query<{ all: string }>(
        `select coalesce(jsonb_agg(to_jsonb(t)), '[]')::text as all from "${name}" t ${where}`,
      )
      await to.query(`delete from "${name}"`)
      await to.query(
        `insert into "${name}" overriding system value select * from jsonb_populate_recordset(null::"${name}", $1)`,
        [rows[0]?.all],
      )
    }
    const sequences = await from.query<{ name: string; last: string }>(
      `select sequencename::text as name, last_value::text as last from pg_sequences where last_value is not null`,
    )
    for (const { name, last } of sequences.rows)
      await to.query(
        `select setval(c.oid::regclass, $2) from pg_class c where c.relname = $1 and c.relkind = 'S'`,
        [name, last],
      )
  } finally {
    await to.end()
  }
}
