import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Cell } from './rules/checks.ts'

/** One rule by which only one of several good records is kept. */
export interface UniqueRound {
  /** SQL of the typed values that must differ. */
  key: string[]
  /** SQL of the order in which records win. */
  winsFirst: string
}

/**
 * The rounds of a definition, in order; later rounds see only the winners of earlier ones: `unique`, then, for an
 * upsert, its key, because one statement cannot write a row twice.
 */
export function uniqueRounds(definition: DatasetDefinition, cells: readonly Cell[]): UniqueRound[] {
  const { unique, key, versionColumn } = definition
  const valueSql = (name: string) => {
    const cell = cells.find(({ column }) => column.name === name)
    if (!cell) throw new Error(`there is no column "${name}" that a file can bring`)
    return cell.value
  }
  const byUnique: UniqueRound[] = unique
    ? [{ key: unique.columns.map(valueSql), winsFirst: `_rec ${unique.keep === 'first' ? 'asc' : 'desc'}` }]
    : []
  if (definition.loadMode !== 'upsert' || !key) return byUnique
  const keep = sameNames(unique?.columns, key) ? unique?.keep : 'last'
  const place = `_rec ${keep === 'first' ? 'asc' : 'desc'}`
  const winsFirst = versionColumn ? `${valueSql(versionColumn)} desc nulls last, ${place}` : place
  const byKey: UniqueRound = { key: key.map(valueSql), winsFirst }
  return sameNames(unique?.columns, key) ? [byKey] : [...byUnique, byKey]
}

/**
 * Statements that fill the temporary table `losers (_rec, _line, _off, _len, winner)` from the good records.
 * They find equal hashes first, which is cheap, and compare values only among the records that share one.
 *
 * `marks` is a table with a column `h0`, `h1`, … per round, NULL for a record that is not good; `valuesWhere` gives
 * a subquery with the values of the records that a condition on `_rec` selects.
 */
export function loserStatements(
  rounds: readonly UniqueRound[],
  marks: string,
  valuesWhere: (condition: string) => string,
): string[] {
  const create =
    'create temp table losers (_rec BIGINT, _line BIGINT, _off BIGINT, _len BIGINT, winner BIGINT)'
  const fill = rounds.map(({ key, winsFirst }, round) => {
    const mark = `h${round}`
    const left = round === 0 ? '' : ' and _rec not in (select _rec from losers)'
    const repeated = `select ${mark} from ${marks} where ${mark} is not null${left} group by 1 having count(*) > 1`
    const suspects = valuesWhere(`_rec in (select _rec from ${marks} where ${mark} in (${repeated})${left})`)
    const winner = `first_value(_rec) over (partition by ${key.join(', ')} order by ${winsFirst})`
    return `insert into losers select * from (select _rec, _line, _off, _len, ${winner} as winner from ${suspects}) where _rec <> winner`
  })
  return [create, ...fill]
}

/** SQL of the hash columns of the table that `loserStatements` reads. */
export function roundMarks(rounds: readonly UniqueRound[], good: string): string[] {
  return rounds.map(({ key }, round) => `case when ${good} then hash(${key.join(', ')}) end as h${round}`)
}

function sameNames(left: readonly string[] | undefined, right: readonly string[]): boolean {
  return left?.length === right.length && left.every((name) => right.includes(name))
}
