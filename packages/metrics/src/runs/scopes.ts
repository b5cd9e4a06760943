import { type RawBuilder, sql } from 'kysely'

/** SQL for two lists of companies, or of warehouses, together; null is all of them. */
export function bothScopes(
  one: RawBuilder<unknown>,
  other: RawBuilder<unknown>,
): RawBuilder<string[] | null> {
  return sql`case when ${one} is not null and ${other} is not null then
    coalesce((select array_agg(distinct s order by s) from unnest(${one} || ${other}) s), '{}') end`
}

/** SQL for the same, of which the first counts only where there is a `when` already. */
export function addedScopes(
  when: RawBuilder<unknown>,
  one: RawBuilder<unknown>,
  other: RawBuilder<unknown>,
): RawBuilder<string[] | null> {
  return sql`case when ${when} is null then ${other} else ${bothScopes(one, other)} end`
}
