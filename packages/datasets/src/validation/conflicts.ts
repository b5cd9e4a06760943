import { lit, quoteIdentifier } from '../literals.ts'
import type { NamedStatement } from '../statement.ts'
import { CONFLICTS } from './uniqueness.ts'

/** More differences than this of one record are not listed. */
const MAX_DIFFERENCES = 20
/** At most this many characters of a value are shown. */
const SHOWN = 100
/** At most this many columns are compared at once, because a join holds all of them in memory. */
const COLUMNS_AT_ONCE = 50

/**
 * Returns statements that fill the temporary table `differences (_rec, part, reasons)`: for each conflicting record the
 * columns in which it differs from the other one, as lists of reasons with the code `conflict`. `good` is SQL of the good
 * rows, and `columns` are all their columns.
 */
export function differenceStatements(good: string, columns: readonly string[]): NamedStatement[] {
  const parts = Array.from({ length: Math.ceil(columns.length / COLUMNS_AT_ONCE) }, (_, part) =>
    columns.slice(part * COLUMNS_AT_ONCE, (part + 1) * COLUMNS_AT_ONCE),
  )
  const create =
    'create or replace temp table differences (_rec BIGINT, part INTEGER, reasons STRUCT("column" VARCHAR, code VARCHAR, message VARCHAR, "value" VARCHAR)[])'
  const fill = parts.map(
    (names, part): NamedStatement => ({
      name: `differences-${part}`,
      sql: `insert into differences select * from (${differencesIn(good, names, part)}) where len(reasons) > 0`,
      as: 'none',
    }),
  )
  return [{ name: 'differences', sql: create, as: 'none' }, ...fill]
}

function differencesIn(good: string, names: readonly string[], part: number): string {
  return `select x._rec, ${part} as part, list_filter([${names.map(difference).join(', ')}], lambda reason: reason is not null) as reasons from ${CONFLICTS} x join ${good} l on l._rec = x._rec join ${good} o on o._rec = x.other`
}

function difference(name: string): string {
  const value = (of: string) => `left(${of}.${quoteIdentifier(name)}::varchar, ${SHOWN})`
  const shown = (of: string) => `coalesce('"' || ${value(of)} || '"', 'no value')`
  const fate = `case when x.rejected then '; none of them is loaded' else ', which takes precedence' end`
  const reason = `struct_pack("column" := ${lit(name)}, code := 'conflict', message := ${shown('l')} || ' here, but ' || ${shown('o')} || ' in line ' || o._line || ${fate}, value := ${value('l')})`
  return `case when l.${quoteIdentifier(name)} is distinct from o.${quoteIdentifier(name)} then ${reason} end`
}

/** Returns a query `{_rec, reasons}` for the conflicting records: those that are rejected for it, or the others. */
export function conflictReasons(rejected: boolean): string {
  return `select _rec, flatten(list(reasons order by part))[1:${MAX_DIFFERENCES}] as reasons from differences where _rec in (select _rec from ${CONFLICTS} where rejected = ${rejected}) group by 1`
}

/**
 * Returns a query for the rows of the file of conflicts, `_rec, _line, _off, _len, reasons` (JSON): the losers with their
 * differences, and the records that were kept in their place. In one round no record is both.
 */
export function conflictsQuery(parsed: string, rounds: number): string {
  const losers = `select _rec, 1 as place, reasons from (${conflictReasons(false)})`
  const winners = `select other as _rec, 2 as place, [struct_pack("column" := null::varchar, code := 'kept', message := 'takes precedence; ' || case count(*) when 1 then 'line ' || min(q._line) || ' differs' else count(*) || ' records differ, the first is in line ' || min(q._line) end, value := null::varchar)] as reasons from ${CONFLICTS} c join ${parsed} q on q._rec = c._rec where not rejected group by 1`
  const all = `(${losers} union all ${winners})`
  const rows =
    rounds === 1
      ? all
      : `(select _rec, flatten(list(reasons order by place)) as reasons from ${all} group by 1)`
  return `select p._rec, p._line, p._off, p._len, to_json(x.reasons)::varchar as reasons from ${parsed} p join ${rows} x on x._rec = p._rec order by 1`
}

/** Returns a query for one row: the number of conflicting records, by whether they are rejected. */
export function conflictCounts(): string {
  return `select count(*) filter (not rejected) as "lost", count(*) filter (rejected) as "rejected" from ${CONFLICTS}`
}

/** Returns a query for one row: the first conflicting record, and its first difference. */
export function conflictExample(parsed: string): string {
  return `select (select _line from ${parsed} p where p._rec = f._rec) as "line", f.reasons[1]."column" as "column", f.reasons[1].message as "message" from (select * from differences order by _rec, part limit 1) f`
}
