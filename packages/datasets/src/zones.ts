import type { DatasetDefinition, TimestampColumn } from '@aduana/contracts/dataset-definition'
import { addDays, type Day } from '@aduana/contracts/dates'
import { z } from 'zod'
import type { Queryable } from './catalogue.ts'

/** The first offset of a time zone from UTC in seconds east, and the moments (seconds since 1970) at which it changes. */
export interface ZoneRules {
  offset: number
  changes: readonly { at: number; offset: number }[]
}

/** The rules of the time zones of a definition, by the name of the zone. */
export type Zones = ReadonlyMap<string, ZoneRules>

/** Rules are read between these days. Zones were introduced after 1800; after 2100 their rules repeat every 400 years. */
const KNOWN: { from: Day; to: Day } = { from: '1800-01-01', to: '2500-01-04' }

/** Begin and length of the 400 years that repeat, in seconds. */
export const CYCLE = { from: Date.UTC(2100, 0, 1) / 1000, length: 146_097 * 86_400 } as const

/** Returns whether a column may hold days after those whose rules are read. The rules of 400 years earlier apply to them. */
export function isBeyondKnown(column: TimestampColumn): boolean {
  return column.max >= '2499'
}

/** Returns the days for which each time zone of a definition is needed: those that its columns allow, and two around them. */
export function zoneRanges(definition: DatasetDefinition): Map<string, { from: Day; to: Day }> {
  const ranges = new Map<string, { from: Day; to: Day }>()
  for (const column of definition.columns) {
    if (column.type !== 'timestamp') continue
    const known = ranges.get(column.timeZone)
    const from = column.min <= KNOWN.from ? KNOWN.from : addDays(column.min, -2)
    const to = column.max >= KNOWN.to ? KNOWN.to : addDays(column.max, 3)
    ranges.set(column.timeZone, {
      from: known && known.from < from ? known.from : from,
      to: known && known.to > to ? known.to : to,
    })
  }
  return ranges
}

const Row = z.object({ at: z.coerce.number().int().nullable(), offset: z.coerce.number().int() })

/**
 * Samples the offset every 90 hours and narrows each change down to the second. No zone has ever changed twice within 95
 * hours.
 */
const RULES = `
with sampled as (
  select m, ${offsetAt('m')} as o from generate_series($2::timestamptz, $3::timestamptz, interval '90 hours') m
), pairs as (
  select lag(m) over by_time as m, m as next_m, lag(o) over by_time as o, o as next_o from sampled window by_time as (order by m)
)
(select null::bigint as at, extract(epoch from o)::integer as offset from sampled order by m limit 1)
union all
(select extract(epoch from e.m)::bigint, extract(epoch from p.next_o)::integer
  from pairs p
  cross join lateral (${firstChange('p.m', '90 hours', '10 hours')}) a
  cross join lateral (${firstChange("a.m - interval '10 hours'", '10 hours', '1 hour')}) b
  cross join lateral (${firstChange("b.m - interval '1 hour'", '1 hour', '5 minutes')}) c
  cross join lateral (${firstChange("c.m - interval '5 minutes'", '5 minutes', '20 seconds')}) d
  cross join lateral (${firstChange("d.m - interval '20 seconds'", '20 seconds', '1 second')}) e
  where p.o <> p.next_o order by p.m)`

function offsetAt(moment: string): string {
  return `((${moment} at time zone $1::text) - (${moment} at time zone 'UTC'))`
}

function firstChange(from: string, length: string, step: string): string {
  return `select min(m) as m from generate_series(${from}, ${from} + interval '${length}', interval '${step}') m where ${offsetAt('m')} <> p.o`
}

/**
 * Returns the rules of a time zone from `from` to `to`, read from PostgreSQL, the only source of zone rules. The name means
 * what it means to `at time zone`.
 */
export async function readZone(
  db: Queryable,
  zone: string,
  { from, to }: { from: Day; to: Day },
): Promise<ZoneRules> {
  const { rows } = await db.query(RULES, [zone, `${from} 00:00:00+00`, `${to} 00:00:00+00`])
  const [first, ...changes] = z.array(Row).min(1).parse(rows)
  return {
    offset: first?.offset ?? 0,
    changes: changes.map(({ at, offset }) => ({ at: z.int().parse(at), offset })),
  }
}

/** Returns the rules of all time zones of a definition, read from PostgreSQL. */
export async function readZones(db: Queryable, definition: DatasetDefinition): Promise<Zones> {
  const zones = new Map<string, ZoneRules>()
  for (const [zone, range] of zoneRanges(definition)) zones.set(zone, await readZone(db, zone, range))
  return zones
}

/** Returns the rules of a zone. Throws if they were not read. */
export function rulesOf(zones: Zones, zone: string): ZoneRules {
  const rules = zones.get(zone)
  if (!rules) throw new Error(`the rules of the time zone "${zone}" have not been read`)
  return rules
}

/** Returns the moment (seconds since 1970) at which a day begins: its first moment if its midnight does not exist. */
export function startOfDay({ offset, changes }: ZoneRules, day: Day): number {
  const midnight = Date.parse(`${day}T00:00:00Z`) / 1000
  let before = offset
  for (const { at, offset: after } of changes) {
    // In an hour that a change repeats, the first of the two.
    if (midnight < at + before) return midnight - before
    if (midnight < at + after) return at
    before = after
  }
  return midnight - before
}
