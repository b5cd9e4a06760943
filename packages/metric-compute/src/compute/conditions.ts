import type { Column } from '@aduana/contracts/dataset-definition'
import type { RowCondition } from '@aduana/contracts/metrics/expression'
import { lit, plainNumber, quoteIdentifier } from '@aduana/datasets/literals'
import { targetName } from '@aduana/datasets/target'
import { columnOf } from '../expressions/series-kind.ts'
import { groupBy } from '../group-by.ts'
import type { SeriesPlace, SeriesPlaces } from '../series-place.ts'

/** A comparison, membership or presence: what a condition on rows is made of. */
export type Atom = Extract<RowCondition, { series: string }>

/** Ids of the members of a dimension that a comparison names (`!=`: those that it excludes), by the comparison's text. */
export type Members = ReadonlyMap<string, readonly string[]>

/** Conditions on rows, as conditions on the key columns by which the rows were gathered first. */
export interface Conditions {
  /** `expression as name`, to be gathered by. */
  keys: readonly { sql: string; name: string }[]
  /** SQL to stand behind the table whose rows are gathered: what the keys look their values up in. */
  joins: string
  /** SQL over the key columns; `true` for no condition. Never null. */
  sql(where: RowCondition | undefined): string
}

/**
 * Conditions on rows of one dataset. Rows that no condition can tell apart are gathered first. For that a key is: a
 * column with few values itself; of a column that is only compared for equality, the value if it is one of those it is
 * compared with; of any other column the truth of each comparison.
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
    // No column of a dataset is named like this.
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
      if (found === undefined) throw new Error(`condition ${atomText(where)} was not announced`)
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

/** The comparisons of a condition. */
export function atomsOf(where: RowCondition | undefined): Atom[] {
  if (where === undefined) return []
  if ('series' in where) return [where]
  return where.op === 'not' ? atomsOf(where.of) : where.of.flatMap(atomsOf)
}

/** A comparison as a text: equal for equal ones. */
export function atomText(atom: Atom): string {
  return JSON.stringify(atom)
}

/** The column of a series in the target as a quoted name: a dimension's surrogate id for its code. */
export function fieldOf(place: SeriesPlace): string {
  if (place.column === null) throw new Error(`series "${place.code}" is the row and has no column`)
  return quoteIdentifier(targetName(place.definition, place.column))
}

/** Where a series is; throws when it was not given. */
export function placeOf(series: string, places: SeriesPlaces): SeriesPlace {
  const place = places.get(series)
  if (!place) throw new Error(`the series "${series}" has no place`)
  return place
}

/** How many values a column has at most, if they are few; undefined otherwise. */
export function fewValues(column: Column): number | undefined {
  if (column.type === 'boolean') return 3
  if (column.type === 'text' && column.enum) return column.enum.length + 1
  if (column.type !== 'integer' || column.min === undefined || column.max === undefined) return undefined
  const values = column.max - column.min + 2
  return values <= 100 ? values : undefined
}

/** True for what compares for equality only, or for membership among the codes of a dimension. */
export function isMembership(column: Column, atom: Atom): boolean {
  if (column.type === 'text' && column.dimension) return true
  return atom.op === '=' || atom.op === '!=' || atom.op === 'in' || atom.op === 'present'
}

/** Up to so many values are compared one by one. */
const MAX_INLINE_MEMBERS = 8

interface KeyMaker {
  /** The name of a key. */
  keyOf(sql: string): string
  /** SQL of a column's value if it is in a list, else null. */
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
  // As a condition, PostgreSQL would go through the whole list for each row.
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
  if (atom.op === 'in') throw new Error('a membership was taken for a comparison')
  const bytes = column.type === 'text' ? ' collate "C"' : ''
  return `coalesce(${name}${bytes} ${atom.op} ${constant(atom.value, column)}, false)`
}

/** SQL: the value is one of those that the comparisons name. Never null. */
export function amongSql(name: string, atoms: readonly Atom[], column: Column, members: Members): string {
  const list = listOf(atoms, column, members)
  return list.length === 0 ? 'false' : `coalesce(${name} = any (${arrayOf(list, column)}), false)`
}

/** SQL of the values that comparisons name, each once: of a dimension the ids. */
export function listOf(atoms: readonly Atom[], column: Column, members: Members): string[] {
  if (column.type === 'text' && column.dimension)
    return [...new Set(atoms.flatMap((atom) => members.get(atomText(atom)) ?? []))]
  const values = atoms.flatMap((atom) =>
    atom.op === 'present' ? [] : atom.op === 'in' ? atom.values : [atom.value],
  )
  return [...new Set(values.map((value) => constant(value, column)))]
}

/** SQL of such a list. */
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
