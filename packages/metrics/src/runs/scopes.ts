import type { Tx } from '@aduana/db/database'
import { type RawBuilder, sql } from 'kysely'

/** Returns SQL for the union of two lists of companies, or of warehouses. Null means all. */
export function unionScopes(
  one: RawBuilder<unknown>,
  other: RawBuilder<unknown>,
): RawBuilder<string[] | null> {
  return sql`case when ${one} is not null and ${other} is not null then
    coalesce((select array_agg(distinct s order by s) from unnest(${one} || ${other}) s), '{}') end`
}

/** Returns SQL for the union, of which the first list counts only where `when` is not null. */
export function addScopes(
  when: RawBuilder<unknown>,
  one: RawBuilder<unknown>,
  other: RawBuilder<unknown>,
): RawBuilder<string[] | null> {
  return sql`case when ${when} is null then ${other} else ${unionScopes(one, other)} end`
}

/** The companies and warehouses in which a run changed values; null where the grain has none. */
export interface ChangedScope {
  runId: string
  companies: readonly string[] | null
  warehouses: readonly string[] | null
}

/**
 * Widens the scopes of runs by the companies and warehouses in which they changed values. A window affects all of
 * them, and dependents must follow there. The caller holds the locks of the metrics.
 */
export async function widenScopes(tx: Tx, runs: readonly ChangedScope[]): Promise<void> {
  const beyond = runs.filter(({ companies, warehouses }) => companies !== null || warehouses !== null)
  if (beyond.length === 0) return
  const wider = (name: 'companies' | 'warehouses') => {
    const [own, reached] = [sql.ref(`r.${name}`), sql.ref(`t.${name}`)]
    return sql`${sql.ref(name)} = case when ${reached} is null then ${own} else ${unionScopes(own, reached)} end`
  }
  await sql`update metric_runs r set ${wider('companies')}, ${wider('warehouses')}
    from jsonb_to_recordset(${JSON.stringify(beyond.map(toRow))}::jsonb)
      as t(id uuid, companies text[], warehouses text[])
    where r.id = t.id and r.status = 'RUNNING'`.execute(tx)
}

function toRow({ runId, companies, warehouses }: ChangedScope) {
  return { id: runId, companies, warehouses }
}
