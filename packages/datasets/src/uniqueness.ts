import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { quoteIdentifier } from './literals.ts'

/** One rule by which only one of several good records is kept. Both fields are SQL over the columns of the good rows. */
export interface UniqueRound {
  /** The values that must differ. */
  key: string
  /** The order in which records win. */
  winsFirst: string
}

/**
 * The rounds of a definition, in order; later rounds see only the winners of earlier ones: `unique`, then, for an
 * upsert, its key, because one statement cannot write a row twice.
 */
export function uniqueRounds(definition: DatasetDefinition): UniqueRound[] {
  const { unique, key, versionColumn } = definition
  const list = (names: readonly string[]) => names.map(quoteIdentifier).join(', ')
  const byUnique: UniqueRound[] = unique
    ? [{ key: list(unique.columns), winsFirst: `_rec ${unique.keep === 'first' ? 'asc' : 'desc'}` }]
    : []
  if (definition.loadMode !== 'upsert' || !key) return byUnique
  const keep = sameNames(unique?.columns, key) ? unique?.keep : 'last'
  const place = `_rec ${keep === 'first' ? 'asc' : 'desc'}`
  const winsFirst = versionColumn ? `${quoteIdentifier(versionColumn)} desc nulls last, ${place}` : place
  const byKey: UniqueRound = { key: list(key), winsFirst }
  return sameNames(unique?.columns, key) ? [byKey] : [...byUnique, byKey]
}

/**
 * Statements that fill the temporary table `losers (_rec, winner)` from the good rows. They look for equal hashes
 * first, which is cheap, and compare values only among the rows that share one.
 */
export function loserStatements(rounds: readonly UniqueRound[], good: string): string[] {
  const fill = rounds.map(({ key, winsFirst }, round) => {
    const rows = round === 0 ? good : `(select * from ${good} where _rec not in (select _rec from losers))`
    const repeated = `select hash(${key}) from ${rows} group by 1 having count(*) > 1`
    const winner = `first_value(_rec) over (partition by ${key} order by ${winsFirst})`
    return `insert into losers select * from (select _rec, ${winner} as winner from ${rows} where hash(${key}) in (${repeated})) where _rec <> winner`
  })
  return ['create temp table losers (_rec BIGINT, winner BIGINT)', ...fill]
}

function sameNames(left: readonly string[] | undefined, right: readonly string[]): boolean {
  return left?.length === right.length && left.every((name) => right.includes(name))
}
