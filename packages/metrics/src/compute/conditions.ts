import type { Column } from '@aduana/contracts/dataset-definition'
import type { RowCondition } from '@aduana/contracts/metrics/expression'
import { lit, literals, plainNumber, quoteIdentifier } from '@aduana/datasets/literals'
import { targetName } from '@aduana/datasets/target'
import type pg from 'pg'
import { columnOf } from '../expressions/series-kind.ts'
import type { SeriesPlace, SeriesPlaces } from '../series-place.ts'
import { groupBy } from './group-by.ts'

/** A comparison, membership or presence: what a condition on rows is made of. */
type Atom = Extract<RowCondition, { series: string }>
/** Ids of the members of a dimension that an atom means, by the atom's text. */
type Members = ReadonlyMap<string, readonly string[]>

/** Conditions on rows, as conditions on the key columns by which the rows were gathered first. */
export interface Conditions {
  /** `expression as name`, to be gathered by. */
  keys: readonly { sql: string; name: string }[]
  /** SQL over the key columns; `true` for no condition. Never null. */
  sql(where: RowCondition | undefined): string
}

/** More comparisons for equality on one column than this: gather by the column itself. */
const MANY_ATOMS = 4

/**
 * Conditions on rows of one dataset. Rows that no condition can tell apart are gathered first; for that a column with
 * few values is a key itself, of any other column the truth of each comparison is.
 */
export function compileConditions(
  wheres: readonly (RowCondition | undefined)[],
  places: SeriesPlaces,
  members: Members,
): Conditions {
  const atoms = new Map(
    wheres.flatMap((where) => (where ? atomsOf(where) : [])).map((atom) => [text(atom), atom]),
  )
  const bySeries = groupBy(atoms.values(), (atom) => atom.series)
  const keys = new Map<string, string>()
  const keyOf = (sql: string): string => {
    const name = keys.get(sql) ?? `k${keys.size}`
    keys.set(sql, name)
    return name
  }
  const compiled = new Map<string, string>()
  for (const [series, its] of bySeries) {
    const place = placeOf(series, places)
    const column = fieldOf(place)
    const whole = isKeyItself(place, its)
    for (const atom of its) {
      const truth = (field: string) => atomSql(atom, columnOf(place), field, members)
      compiled.set(text(atom), whole ? truth(keyOf(column)) : keyOf(truth(column)))
    }
  }
  const atomOf = (atom: Atom): string => {
    const found = compiled.get(text(atom))
    if (found === undefined) throw new Error(`condition ${text(atom)} was not announced`)
    return found
  }
  const sql = (where: RowCondition): string => {
    if ('series' in where) return atomOf(where)
    if (where.op === 'not') return `(not ${sql(where.of)})`
    return `(${where.of.map(sql).join(where.op === 'all' ? ' and ' : ' or ')})`
  }
  return {
    keys: [...keys].map(([expression, name]) => ({ sql: expression, name })),
    sql: (where) => (where ? sql(where) : 'true'),
  }
}

/** Look up the members of dimensions that the conditions name by code. */
export async function readMembers(
  client: pg.PoolClient,
  wheres: readonly (RowCondition | undefined)[],
  places: SeriesPlaces,
): Promise<Members> {
  const members = new Map<string, readonly string[]>()
  for (const atom of wheres.flatMap((where) => (where ? atomsOf(where) : []))) {
    const column = columnOf(placeOf(atom.series, places))
    const dimension = column?.type === 'text' ? column.dimension : undefined
    if (!dimension || atom.op === 'present' || members.has(text(atom))) continue
    const key = quoteIdentifier(dimension.key)
    const values = (atom.op === 'in' ? atom.values : [atom.value]).map(String)
    const wanted =
      atom.op === 'in' || atom.op === '=' || atom.op === '!='
        ? `${key} = any (array[${literals(values)}]::text[])`
        : `${key} collate "C" ${atom.op} ${lit(values[0] ?? '')}`
    const { rows } = await client.query<{ id: string }>(
      `select id::text from public.${quoteIdentifier(dimension.table)} where ${wanted}`,
    )
    members.set(
      text(atom),
      rows.map(({ id }) => id),
    )
  }
  return members
}

/** The column of a series in the target as a quoted name: a dimension's surrogate id for its code. */
export function fieldOf(place: SeriesPlace): string {
  if (place.column === null) throw new Error(`series "${place.code}" is the row and has no column`)
  return quoteIdentifier(targetName(place.definition, place.column))
}

function placeOf(series: string, places: SeriesPlaces): SeriesPlace {
  const place = places.get(series)
  if (!place) throw new Error(`the series "${series}" has no place`)
  return place
}

function text(atom: Atom): string {
  return JSON.stringify(atom)
}

function atomsOf(where: RowCondition): Atom[] {
  if ('series' in where) return [where]
  return where.op === 'not' ? atomsOf(where.of) : where.of.flatMap(atomsOf)
}

function isKeyItself(place: SeriesPlace, atoms: readonly Atom[]): boolean {
  const column = columnOf(place)
  if (!column) return false
  if (column.type === 'boolean' || (column.type === 'text' && (column.dimension || column.enum))) return true
  if (column.type === 'integer' && column.min !== undefined && column.max !== undefined)
    return column.max - column.min <= 100
  const equalities = atoms.filter(({ op }) => op === '=' || op === '!=' || op === 'in')
  return equalities.length === atoms.length && atoms.length > MANY_ATOMS
}

function atomSql(atom: Atom, column: Column | undefined, field: string, members: Members): string {
  if (!column) throw new Error(`the series "${atom.series}" is the row and cannot be compared`)
  if (atom.op === 'present') return `(${field} is not null)`
  if (column.type === 'text' && column.dimension) {
    const ids = `array[${members.get(text(atom))?.join(', ') ?? ''}]::bigint[]`
    return atom.op === '!='
      ? `coalesce(${field} <> all (${ids}), false)`
      : `coalesce(${field} = any (${ids}), false)`
  }
  if (atom.op === 'in') {
    const values = atom.values.map((value) => constant(value, column))
    return `coalesce(${field} in (${values.join(', ')}), false)`
  }
  const ordered = column.type === 'text' && atom.op !== '=' && atom.op !== '!='
  const operator = atom.op === '!=' ? '<>' : atom.op
  return `coalesce(${field}${ordered ? ' collate "C"' : ''} ${operator} ${constant(atom.value, column)}, false)`
}

function constant(value: string | number | boolean, column: Column): string {
  if (typeof value === 'number') return plainNumber(value).replace(/^-.*/, '($&)')
  if (typeof value === 'boolean') return String(value)
  if (column.type === 'date') return `date ${lit(value)}`
  if (column.type !== 'timestamp') return lit(value)
  return /T.*(Z|[+-]\d\d:?\d\d)$/.test(value)
    ? `timestamptz ${lit(value)}`
    : `(timestamp ${lit(value)} at time zone ${lit(column.timeZone)})`
}
