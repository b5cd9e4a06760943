import type { Column } from '@aduana/contracts/dataset-definition'
import type { RowCondition } from '@aduana/contracts/metrics/expression'
import { lit, plainNumber, quoteIdentifier } from '@aduana/datasets/literals'
import { targetName } from '@aduana/datasets/target'
import { columnOf } from '../expressions/series-kind.ts'
import { groupBy } from '../group-by.ts'
import type { SeriesPlace, SeriesPlaces } from '../series-place.ts'

/** A leaf of a row condition: a comparison, a membership or a presence test. */
export type Atom = Extract<RowCondition, { series: string }>

/** Ids of the dimension members that a comparison matches, by `atomText`. For `!=`, the ids that it excludes. */
export type Members = ReadonlyMap<string, readonly string[]>

/** Row conditions, expressed over the key columns by which rows are grouped first. */
export interface Conditions {
  /** Columns to group by, as `sql as name`. */
  keys: readonly { sql: string; name: string }[]
  /** Joins that the keys need, to append to the table in FROM. */
  joins: string
  /** SQL over the key columns: `true` without a condition, never null. */
  sql(where: RowCondition | undefined): string
}

/**
 * Compiles conditions on rows of one dataset. Rows that no condition distinguishes are grouped first. The key of a
 * column is the column itself if it has few values; its value, if it is one of the values compared with, for a column
 * that is only tested for equality; otherwise the truth of each comparison.
 */
export function compileConditions(
  wheres: readonly (RowCondition | undefined)[],
  places: SeriesPlaces,
  members: Members,
): Conditions {
  const keys = new Map<string, string>()
  const keyOf = (sql: string): string => {
    const name = keys.get(sql) ?? `k${keys.size}`
    keys.set(sql, name)
    return name
  }
  const joins: string[] = []
  const lookUp = (field: string, list: string): string => {
    const name = `among_${joins.length}`
    // No dataset column has this name.
    const named = `select distinct "=" from unnest(${list}) named ("=")`
    joins.push(` left join (${named}) ${name} on ${name}."=" = ${field}`)
    return `${name}."="`
  }
  const atoms = new Map(wheres.flatMap(atomsOf).map((atom) => [atomText(atom), atom]))
  const compiled = new Map<string, string>()
  for (const [series, its] of groupBy(atoms.values(), (atom) => atom.series)) {
    const truth = compileSeries(placeOf(series, places), its, members, { keyOf, lookUp })
    for (const atom of its) compiled.set(atomText(atom), truth(atom))
  }
  const sql = (where: RowCondition): string => {
    if ('series' in where) {
      const found = compiled.get(atomText(where))
      if (found === undefined)
        throw new Error(`condition ${atomText(where)} is not among the compiled conditions`)
      return found
    }
    if (where.op === 'not') return `(not ${sql(where.of)})`
    return `(${where.of.map(sql).join(where.op === 'all' ? ' and ' : ' or ')})`
  }
  return {
    keys: [...keys].map(([expression, name]) => ({ sql: expression, name })),
    joins: joins.join(''),
    sql: (where) => (where ? sql(where) : 'true'),
  }
}

/** Returns the leaves of a condition. */
export function atomsOf(where: RowCondition | undefined): Atom[] {
  if (where === undefined) return []
  if ('series' in where) return [where]
  return where.op === 'not' ? atomsOf(where.of) : where.of.flatMap(atomsOf)
}

/** Returns a text that identifies a leaf: equal leaves have equal texts. */
export function atomText(atom: Atom): string {
  return JSON.stringify(atom)
}

/** Returns the target column of a series as a quoted name. For a dimension, it holds the surrogate id. */
export function fieldOf(place: SeriesPlace): string {
  if (place.column === null) throw new Error(`series "${place.code}" is the row and has no column`)
  return quoteIdentifier(targetName(place.definition, place.column))
}

/** Returns the place of a series. @throws Error when `places` does not contain it */
export function placeOf(series: string, places: SeriesPlaces): SeriesPlace {
  const place = places.get(series)
  if (!place) throw new Error(`the series "${series}" has no place`)
  return place
}

/** Returns the maximum number of distinct values of a column, or undefined if it is unknown or above 100. */
export function fewValues(column: Column): number | undefined {
  if (column.type === 'boolean') return 3
  if (column.type === 'text' && column.enum) return column.enum.length + 1
  if (column.type !== 'integer' || column.min === undefined || column.max === undefined) return undefined
  const values = column.max - column.min + 2
  return values <= 100 ? values : undefined
}

/** Returns whether a leaf only tests equality, or membership among the codes of a dimension. */
export function isMembership(column: Column, atom: Atom): boolean {
  if (column.type === 'text' && column.dimension) return true
  return atom.op === '=' || atom.op === '!=' || atom.op === 'in' || atom.op === 'present'
}

/** Up to this many values are compared inline instead of by a join. */
const MAX_INLINE_MEMBERS = 8

interface KeyMaker {
  /** Returns the name of the key column for an expression. */
  keyOf(sql: string): string
  /** Returns SQL for a column's value if it is in the list, otherwise null. */
  lookUp(field: string, list: string): string
}

function compileSeries(
  place: SeriesPlace,
  atoms: readonly Atom[],
  members: Members,
  { keyOf, lookUp }: KeyMaker,
): (atom: Atom) => string {
  const column = columnOf(place)
  if (!column) throw new Error(`the series "${place.code}" is the row and cannot be compared`)
  const field = fieldOf(place)
  const among = (name: string, its: readonly Atom[]) => amongSql(name, its, column, members)
  if (fewValues(column) !== undefined) {
    const key = keyOf(field)
    return (atom) => truthOf(atom, `(${key} is not null)`, column, key, among)
  }
  if (!atoms.every((atom) => isMembership(column, atom)))
    return (atom) => keyOf(truthOf(atom, `(${field} is not null)`, column, field, among))
  const list = listOf(atoms, column, members)
  // As a condition, PostgreSQL would scan the whole list for each row.
  const named =
    list.length > MAX_INLINE_MEMBERS
      ? lookUp(field, arrayOf(list, column))
      : `case when ${among(field, atoms)} then ${field} end`
  const key = keyOf(named)
  return (atom) => {
    const present = atom.op === '!=' || atom.op === 'present' ? keyOf(`(${field} is not null)`) : 'true'
    return truthOf(atom, present, column, key, among)
  }
}

function truthOf(
  atom: Atom,
  present: string,
  column: Column,
  name: string,
  among: (name: string, its: readonly Atom[]) => string,
): string {
  if (atom.op === 'present') return present
  if (atom.op === '!=') return `(${present} and not ${among(name, [atom])})`
  if (isMembership(column, atom)) return among(name, [atom])
  if (atom.op === 'in') throw new Error('a membership test is not a comparison')
  const bytes = column.type === 'text' ? ' collate "C"' : ''
  return `coalesce(${name}${bytes} ${atom.op} ${constant(atom.value, column)}, false)`
}

/** Returns SQL: the value is one of the values in the comparisons. Never null. */
export function amongSql(name: string, atoms: readonly Atom[], column: Column, members: Members): string {
  const list = listOf(atoms, column, members)
  return list.length === 0 ? 'false' : `coalesce(${name} = any (${arrayOf(list, column)}), false)`
}

/** Returns SQL literals of the values in the comparisons, without duplicates. For a dimension, the ids. */
export function listOf(atoms: readonly Atom[], column: Column, members: Members): string[] {
  if (column.type === 'text' && column.dimension)
    return [...new Set(atoms.flatMap((atom) => members.get(atomText(atom)) ?? []))]
  const values = atoms.flatMap((atom) =>
    atom.op === 'present' ? [] : atom.op === 'in' ? atom.values : [atom.value],
  )
  return [...new Set(values.map((value) => constant(value, column)))]
}

/** Returns a list of `listOf` as a SQL array. */
export function arrayOf(list: readonly string[], column: Column): string {
  const type = column.type === 'text' ? (column.dimension ? 'bigint[]' : 'text[]') : undefined
  return `array[${list.join(', ')}]${type ? `::${type}` : ''}`
}

function constant(value: string | number | boolean, column: Column): string {
  if (typeof value === 'number') return `(${plainNumber(value)})`
  if (typeof value === 'boolean') return String(value)
  if (column.type === 'date') return `date ${lit(value)}`
  if (column.type !== 'timestamp') return lit(value)
  return /T.*(Z|[+-]\d\d:?\d\d)$/.test(value)
    ? `timestamptz ${lit(value)}`
    : `(timestamp ${lit(value)} at time zone ${lit(column.timeZone)})`
}
