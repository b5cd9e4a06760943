import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { quoteIdentifier } from '../literals.ts'
import type { NamedStatement } from '../statement.ts'

/** A rule by which one of several good records is kept. The fields are SQL over the columns of the good rows. */
export interface UniqueRound {
  /** The columns whose values must differ. */
  columns: readonly string[]
  /** The order in which records win. */
  winsFirst: string
  /** The column whose greatest value wins. Only records with that value can conflict; older ones are outdated. */
  version?: string
  /** Which of the records that conflict wins. */
  keeps: 'first' | 'last' | 'none'
}

/**
 * Returns the rounds of a definition, in order: `unique`, then, for an upsert, its key, because one statement cannot write a
 * row twice. Later rounds see only the winners of earlier ones.
 */
export function uniqueRounds(definition: DatasetDefinition): UniqueRound[] {
  const { unique, key, versionColumn } = definition
  const place = (keeps: UniqueRound['keeps']) => `_rec ${keeps === 'last' ? 'desc' : 'asc'}`
  const byUnique: UniqueRound[] = unique
    ? [{ columns: unique.columns, keeps: unique.keep, winsFirst: place(unique.keep) }]
    : []
  if (definition.loadMode !== 'upsert' || !key) return byUnique
  const one = unique !== undefined && sameNames(unique.columns, key)
  const keeps = one ? unique.keep : 'last'
  const byKey: UniqueRound = versionColumn
    ? {
        columns: key,
        keeps,
        version: versionColumn,
        winsFirst: `${quoteIdentifier(versionColumn)} desc nulls last, ${place(keeps)}`,
      }
    : { columns: key, keeps, winsFirst: place(keeps) }
  return one ? [byKey] : [...byUnique, byKey]
}

/** `losers (_rec, winner, round)`: the good records that are not loaded, with the record that is loaded in their place. */
export const LOSERS = 'losers'
/**
 * `conflicts (_rec, other, rejected)`: the losers that differ from the winner in any column, with the record to compare
 * them with. If none wins, all records of the group are `rejected`.
 */
export const CONFLICTS = 'conflicts'

const run = (name: string, sql: string): NamedStatement => ({ name, sql, as: 'none' })

/**
 * Returns statements that add the losers of a round, and count them as `lost-<index>`. `good` is SQL of the good rows. Equal
 * hashes are found first, which is cheap; values are compared only among rows with equal hashes.
 */
export function losersStatements(round: UniqueRound, index: number, good: string): NamedStatement[] {
  const losers = losersOf(round, index, good)
  const add = index === 0 ? `create or replace temp table ${LOSERS} as` : `insert into ${LOSERS}`
  return [
    run(`losers-${index}`, `${add} ${losers}`),
    {
      name: `lost-${index}`,
      sql: `select count(*) as "rows" from ${LOSERS} where round = ${index}`,
      as: 'rows',
    },
  ]
}

/** The statement that creates the table of conflicts. */
export const CONFLICTS_TABLE = run(
  'conflicts-table',
  `create or replace temp table ${CONFLICTS} (_rec BIGINT, other BIGINT, rejected BOOLEAN)`,
)

/** Returns statements that find the conflicts among the losers of a round; `columns` are all columns of the good rows. */
export function conflictsStatements(
  round: UniqueRound,
  index: number,
  good: string,
  columns: readonly string[],
): NamedStatement[] {
  const compared = comparedWithWinner(round, index, good, columns)
  if (round.keeps !== 'none') return [run(`conflicts-${index}`, losersOnly(compared))]
  return [
    run(`conflicts-${index}`, allOfGroup(compared)),
    run(
      `none-wins-${index}`,
      `insert into ${LOSERS} select _rec, other, ${index} from ${CONFLICTS} where rejected and _rec not in (select _rec from ${LOSERS})`,
    ),
  ]
}

function losersOf({ columns, winsFirst }: UniqueRound, index: number, good: string): string {
  const key = columns.map(quoteIdentifier).join(', ')
  const rows = index === 0 ? good : `(select * from ${good} where _rec not in (select _rec from ${LOSERS}))`
  const repeated = `select hash(${key}) from ${rows} group by 1 having count(*) > 1`
  const winner = `first_value(_rec) over (partition by ${key} order by ${winsFirst})`
  return `select _rec, winner, ${index}::tinyint as round from (select _rec, ${winner} as winner from ${rows} where hash(${key}) in (${repeated})) where _rec <> winner`
}

/**
 * Returns a query for rows `{_rec, winner, differs, conflicts}` of the losers of a round; `conflicts` is true if no version
 * decides. Rows are compared by two hashes of all their values, because a join of whole rows holds all of them in memory.
 */
function comparedWithWinner(
  { version }: UniqueRound,
  index: number,
  good: string,
  columns: readonly string[],
): string {
  const names = columns.map(quoteIdentifier)
  const content = `row(hash(${names.join(', ')}), hash(${[...names].reverse().join(', ')}, 1))`
  const rows = `(select _rec, ${content} as content, ${version ? quoteIdentifier(version) : 'null'} as version from ${good} where _rec in (select _rec from ${LOSERS} union all select winner from ${LOSERS}))`
  return `(select x._rec, x.winner, l.content <> w.content as differs, l.content <> w.content and l.version is not distinct from w.version as conflicts from ${LOSERS} x join ${rows} l on l._rec = x._rec join ${rows} w on w._rec = x.winner where x.round = ${index})`
}

function losersOnly(compared: string): string {
  return `insert into ${CONFLICTS} select _rec, winner, false from ${compared} where conflicts`
}

/** A record that equals the first one is compared with the first one that differs. */
function allOfGroup(compared: string): string {
  return `insert into ${CONFLICTS} with compared as materialized (select * from ${compared}), groups as (select winner, min(_rec) filter (where differs) as other from compared group by 1 having bool_or(conflicts)) select c._rec, case when c.differs then c.winner else g.other end, true from compared c join groups g using (winner) union all select winner, other, true from groups`
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name))
}
