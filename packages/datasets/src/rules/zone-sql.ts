import type { TimestampColumn } from '@aduana/contracts/dataset-definition'
import type { Day } from '@aduana/contracts/dates'
import { lit } from '../literals.ts'
import type { NamedStatement } from '../statement.ts'
import { CYCLE, isBeyondKnown, rulesOf, startOfDay, type ZoneRules, type Zones } from '../zones.ts'

/**
 * The table of one row with the rules of all zones as lists. A query that converts times names it in its FROM clause.
 * DuckDB's own functions use another release of the zone rules than PostgreSQL, and are five times slower.
 */
export const ZONE_TABLE = 'zone_rules'

/** All zone rules are in microseconds. */
const SECOND = 1_000_000
/** Later than every change: the end of each list. */
const NEVER = '9000000000000000000'

/** Returns the statement that creates `ZONE_TABLE` for the time zones of a query. */
export function zoneTable(zones: Zones): NamedStatement {
  const lists = [...zones].flatMap(([zone, rules]) => {
    const name = prefixOf(zones, zone)
    const { before, lo, hi, at } = listsOf(rules)
    const grid = gridOf(rules)
    return [
      ...[list(`${name}_offset`, before), list(`${name}_at`, [...at, NEVER])],
      ...[list(`${name}_lo`, [...lo, NEVER]), list(`${name}_hi`, [...hi, NEVER])],
      ...[list(`${name}_local`, grid.local), list(`${name}_utc`, grid.utc)],
    ]
  })
  const columns = lists.length === 0 ? 'true as _none' : lists.join(', ')
  return { name: 'zones', sql: `create or replace temp table ${ZONE_TABLE} as select ${columns}`, as: 'none' }
}

/** Returns a list as one text, which DuckDB reads faster than it plans the same number of literals. */
function list(name: string, values: readonly (number | string)[]): string {
  return `${lit(`[${values.join(',')}]`)}::bigint[] as ${name}`
}

/** The lists of the changes. `before` has one more entry, the offset after the last change. */
function listsOf({ offset, changes }: ZoneRules) {
  const before = [offset, ...changes.map((change) => change.offset)].map((seconds) => seconds * SECOND)
  const at = changes.map((change) => change.at * SECOND)
  const pair = (index: number) => [before[index] ?? 0, before[index + 1] ?? 0] as const
  return {
    before,
    at,
    /** The bounds between which a local time does not exist, or exists twice. */
    lo: at.map((moment, index) => moment + Math.min(...pair(index))),
    hi: at.map((moment, index) => moment + Math.max(...pair(index))),
  }
}

interface Grid {
  base: number
  shift: number
  local: number[]
  utc: number[]
}

const GRIDS = new WeakMap<ZoneRules, Grid>()

/**
 * Bins of `2^shift` microseconds from `base`, each with at most one change, and for each bin the number (from 1) of the
 * first change that is not over when the bin begins: by local time and by UTC.
 */
function gridOf(rules: ZoneRules): Grid {
  const known = GRIDS.get(rules)
  if (known) return known
  const grid = widestGrid(rules)
  GRIDS.set(rules, grid)
  return grid
}

const [WIDEST, NARROWEST] = [43, 36]

function widestGrid(rules: ZoneRules): Grid {
  const { lo, hi, at } = listsOf(rules)
  // Before the first change, because the first bin also stands for all times before it.
  const base = Math.min(lo[0] ?? 0, at[0] ?? 0) - SECOND
  const end = Math.max(hi.at(-1) ?? 0, at.at(-1) ?? 0)
  for (let shift = WIDEST; shift >= NARROWEST; shift--) {
    const width = 2 ** shift
    const starts = Array.from(
      { length: Math.floor((end - base) / width) + 2 },
      (_, bin) => base + bin * width,
    )
    const [local, utc] = [firstAfter(hi, starts), firstAfter(at, starts)]
    // The number of a change is the index of the one after it.
    const nextBegins = (list: readonly number[], change = 0) => list[change] ?? Infinity
    const alone = starts.every(
      (start, bin) => Math.min(nextBegins(lo, local[bin]), nextBegins(at, utc[bin])) >= start + width,
    )
    if (alone) return { base, shift, local, utc }
  }
  throw new Error('the rules of a time zone have two changes within a day')
}

/** Returns, for each start, the number (from 1) of the first of the sorted moments that is later. */
function firstAfter(moments: readonly number[], starts: readonly number[]): number[] {
  let next = 0
  return starts.map((start) => {
    while ((moments[next] ?? Infinity) <= start) next += 1
    return next + 1
  })
}

function prefixOf(zones: Zones, zone: string): string {
  return `_z${[...zones.keys()].indexOf(zone)}`
}

/** Returns SQL of the position in the lists for a time (microseconds). */
function position(zones: Zones, zone: string, time: string, by: 'local' | 'utc'): string {
  const { base, shift, local } = gridOf(rulesOf(zones, zone))
  return `${prefixOf(zones, zone)}_${by}[greatest(0, least(${local.length - 1}, (${time} - ${base}) >> ${shift})) + 1]`
}

/** Returns SQL of the equivalent time (microseconds) in the years whose rules are known. */
function known(column: TimestampColumn, time: string): string {
  if (!isBeyondKnown(column)) return time
  const [from, length] = [CYCLE.from * SECOND, CYCLE.length * SECOND]
  return `(${time} - ${length} * greatest(0, (${time} - ${from}) // ${length}))`
}

/** A zone without changes in the days of its columns has no lists. */
function isFixed(zones: Zones, { timeZone }: TimestampColumn): boolean {
  return rulesOf(zones, timeZone).changes.length === 0
}

/**
 * Returns SQL of the position of a local time in the rules of its zone, for `localTimeSql`. `local` is in microseconds, and
 * the query must name `ZONE_TABLE`.
 */
export function localPosition(zones: Zones, column: TimestampColumn, local: string): string {
  if (isFixed(zones, column)) return 'null::bigint'
  return position(zones, column.timeZone, known(column, local), 'local')
}

/** SQL for a local time (microseconds) whose position is known. */
export interface LocalTimeSql {
  /** The instant; NULL if the time does not exist, or exists twice and the column does not allow that. */
  instant: string
  /** Two instants have this local time. */
  twice: string
  /** The message on why there is no instant. */
  message: string
}

/** Returns the SQL that converts a local time in the time zone of its column. */
export function localTimeSql(zones: Zones, column: TimestampColumn, local: string, at: string): LocalTimeSql {
  const rules = rulesOf(zones, column.timeZone)
  if (isFixed(zones, column)) {
    const instant = `make_timestamptz(${local} - ${rules.offset * SECOND})`
    return { instant, twice: 'false', message: lit('') }
  }
  const name = prefixOf(zones, column.timeZone)
  const [before, after] = [`${name}_offset[${at}]`, `${name}_offset[${at} + 1]`]
  const [lo, hi] = [`${name}_lo[${at}]`, `${name}_hi[${at}]`]
  const time = known(column, local)
  const repeated = { first: before, second: after, reject: 'null' }[column.repeatedHour ?? 'second']
  const offset = `case when ${time} < ${lo} then ${before} when ${time} >= ${hi} then ${after} when ${before} > ${after} then ${repeated} end`
  const clock = (moment: string) =>
    `strftime(make_timestamp(${moment} + ${local} - ${time}), '%Y-%m-%d %H:%M')`
  const zone = (text: string) => lit(text.replace('ZONE', column.timeZone))
  return {
    instant: `make_timestamptz(${local} - ${offset})`,
    twice: `coalesce(${time} >= ${lo} and ${time} < ${hi} and ${before} > ${after}, false)`,
    message: `case when ${before} < ${after} then ${zone(' does not exist in ZONE: the clocks went forward from ')} || ${clock(lo)} || ' to ' || ${clock(hi)} else ${zone(' exists twice in ZONE: the clocks went back from ')} || ${clock(hi)} || ' to ' || ${clock(lo)} || ${lit('. Write the time with its offset from UTC')} end`,
  }
}

/** Returns whether a column may hold times that exist twice without declaring which of the two applies. */
export function mayRepeat(zones: Zones, column: TimestampColumn): boolean {
  if (column.repeatedHour !== undefined) return false
  const { before } = listsOf(rulesOf(zones, column.timeZone))
  return before.some((offset, index) => offset < (before[index - 1] ?? -Infinity))
}

/** Returns SQL of the day (a DATE) of an instant in the time zone of its column. The query must name `ZONE_TABLE`. */
export function localDay(zones: Zones, column: TimestampColumn, instant: string): string {
  const rules = rulesOf(zones, column.timeZone)
  const moment = `epoch_us(${instant})`
  if (isFixed(zones, column)) return `make_timestamp(${moment} + ${rules.offset * SECOND})::date`
  const name = prefixOf(zones, column.timeZone)
  const time = known(column, moment)
  const at = position(zones, column.timeZone, time, 'utc')
  const offset = `case when ${time} < ${name}_at[${at}] then ${name}_offset[${at}] else ${name}_offset[${at} + 1] end`
  return `make_timestamp(${moment} + ${offset})::date`
}

/** Returns SQL of the moment at which a day begins in a time zone. */
export function dayStart(zones: Zones, zone: string, day: Day): string {
  return `make_timestamptz(${startOfDay(rulesOf(zones, zone), day) * SECOND}::bigint)`
}
