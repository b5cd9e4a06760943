import type { TimestampColumn } from '@aduana/contracts/dataset-definition'
import { sample, sampleHalf } from '@aduana/testkit/long'
import { serviceUrl } from '@aduana/testkit/settings'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { instantsOfDays } from './days-of-zone.ts'
import { localDay, localPosition, localTimeSql, ZONE_TABLE, zoneTable } from './rules/zone-sql.ts'
import { definitionWith } from './testing/definitions.ts'
import { openTestDuck, type TestDuck, validate } from './testing/validate.ts'
import { readZones, startOfDay, type Zones } from './zones.ts'

let client: pg.Client
let duck: TestDuck
beforeAll(async () => {
  client = new pg.Client({
    connectionString: serviceUrl('TEST_DATABASE_URL'),
    options: '-c timezone=UTC -c jit=off',
  })
  await client.connect()
  duck = await openTestDuck()
})
afterAll(async () => {
  await duck.close()
  await client.end()
})

type Input = Partial<Pick<TimestampColumn, 'timeZone' | 'min' | 'max' | 'repeatedHour' | 'formats'>>

function timestamp(input: Input) {
  const definition = definitionWith([{ name: 't', type: 'timestamp', ...input }])
  const [column] = definition.columns
  if (column?.type !== 'timestamp') throw new Error('not a timestamp')
  return { definition, column }
}

const Moment = z.object({ us: z.string(), local: z.string(), day: z.string(), again: z.string() })

/** Moments around every change and all through the range, with what PostgreSQL says of them. */
async function moments({ timeZone, min, max }: TimestampColumn, zones: Zones) {
  const around = (zones.get(timeZone)?.changes ?? []).flatMap(({ at }) =>
    [-90_000, -7200, -3600, -1800, -1, 0, 1, 1800, 3600, 7200, 90_000].map((seconds) => at + seconds),
  )
  const { rows } = await client.query(
    `select (extract(epoch from m) * 1000000)::bigint::text as us,
       (extract(epoch from m at time zone $1) * 1000000)::bigint::text as local,
       to_char(m at time zone $1, 'YYYY-MM-DD') as day,
       (extract(epoch from (m at time zone $1) at time zone $1) * 1000000)::bigint::text as again
     from (select to_timestamp(unnest($2::float8[])) union
       select generate_series($3::timestamptz, $4::timestamptz, $5::interval)) x (m)
     where (m at time zone $1) between $3::timestamp and $4::timestamp`,
    [timeZone, around, min, max, max > '2200' ? '997 days 5 hours 13 minutes' : '97 days 5 hours 13 minutes'],
  )
  return z.array(Moment).parse(rows)
}

/** How many moments the engine takes otherwise than PostgreSQL, or how many hours it does not know. */
async function differences(column: TimestampColumn, zones: Zones) {
  const known = await moments(column, zones)
  const values = known.map(({ us, local, day, again }) => `(${us}, ${local}, date '${day}', ${again})`)
  await duck.run([zoneTable(zones)])
  const { instant } = localTimeSql(zones, column, 'local', 'p')
  const [found] = await duck.rows(`select count(*) as moments,
      count(*) filter (where ${localDay(zones, column, 'make_timestamptz(us)')} is distinct from day) as days,
      count(*) filter (where epoch_us(${instant}) is distinct from again) as instants
    from (select *, ${localPosition(zones, column, 'local')} as p
      from (values ${values.join(', ')}) m (us, local, day, again), ${ZONE_TABLE})`)
  return { ...found, moments: known.length }
}

test('the engine computes the days and instants of PostgreSQL in every time zone', {
  timeout: 300_000,
}, async () => {
  const { rows } = await client.query<{ name: string }>(
    `select name from pg_timezone_names where name ~ '^[A-Z][A-Za-z_]+/' order by 1`,
  )
  expect(rows.length).toBeGreaterThan(300)
  for (const { name } of sample(rows, 40)) {
    const { definition, column } = timestamp({ timeZone: name, min: '2018-01-01', max: '2030-12-31' })
    const zones = await readZones(client, definition)
    const found = await differences(column, zones)
    expect({ name, ...found }).toEqual({ name, moments: found.moments, days: 0, instants: 0 })
  }
})

const NOTABLE = [
  'America/Bogota',
  'Europe/Madrid',
  'America/Santiago',
  'America/Sao_Paulo',
  'Australia/Sydney',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Kwajalein',
  'Asia/Beirut',
  'Asia/Gaza',
  'Africa/Casablanca',
  'Africa/Freetown',
  'America/St_Johns',
  'Europe/Dublin',
  'Asia/Kathmandu',
  'Antarctica/Troll',
  'UTC',
]

test.each(sample(NOTABLE, 3))(
  'the engine computes the days and instants of PostgreSQL in %s, from 1900 to 9999',
  {
    timeout: 60_000,
  },
  async (timeZone) => {
    for (const bounds of [{}, { min: '0001-01-02', max: '9999-12-30' }]) {
      const { definition, column } = timestamp({ timeZone, ...bounds })
      const zones = await readZones(client, definition)
      const found = await differences(column, zones)
      expect(found).toEqual({ moments: found.moments, days: 0, instants: 0 })
      expect(found.moments).toBeGreaterThan(700)
    }
  },
)

test.each(sampleHalf(NOTABLE))(
  'the instants of a range of days are those with a day in it, in %s',
  async (timeZone) => {
    const { definition } = timestamp({ timeZone })
    const zones = await readZones(client, definition)
    const rules = zones.get(timeZone)?.changes ?? []
    for (const { at } of rules.slice(-60)) {
      const day = (count: number) => new Date((at + count * 86_400) * 1000).toISOString().slice(0, 10)
      for (const range of [
        { from: day(0), to: day(1) },
        { from: day(-1), to: day(0) },
        { from: day(1), to: day(3) },
        { from: day(-20), to: day(1) },
      ]) {
        const { rows } = await client.query(
          `select count(*) filter (where (${instantsOfDays('m', timeZone, range).join(' and ')})
            <> ((m at time zone $2)::date >= $3::date and (m at time zone $2)::date < $4::date))::int as wrong
         from generate_series(to_timestamp($1) - interval '72 hours', to_timestamp($1) + interval '120 hours', interval '10 minutes') m`,
          [at, timeZone, range.from, range.to],
        )
        expect({ range, ...rows[0] }).toEqual({ range, wrong: 0 })
      }
    }
  },
)

test('a day begins with its first instant, whatever happens at its midnight', async () => {
  const cases: [string, string, string][] = [
    ['Europe/Madrid', '2026-10-25', '2026-10-24T22:00:00.000Z'],
    ['Europe/Madrid', '2026-10-26', '2026-10-25T23:00:00.000Z'],
    ['America/Sao_Paulo', '2018-11-04', '2018-11-04T03:00:00.000Z'],
    ['America/Sao_Paulo', '2018-02-18', '2018-02-18T03:00:00.000Z'],
    ['Asia/Beirut', '2024-03-31', '2024-03-30T22:00:00.000Z'],
    ['Pacific/Apia', '2011-12-30', '2011-12-30T10:00:00.000Z'],
    ['Pacific/Apia', '2011-12-31', '2011-12-30T10:00:00.000Z'],
    // The clocks went back at 00:01 to 23:01.
    ['America/St_Johns', '2010-11-07', '2010-11-07T02:30:00.000Z'],
  ]
  for (const [timeZone, day, start] of cases) {
    const rules = (await readZones(client, timestamp({ timeZone }).definition)).get(timeZone)
    const found = rules && new Date(startOfDay(rules, day) * 1000).toISOString()
    expect([timeZone, day, found]).toEqual([timeZone, day, start])
  }
})

/** The instants of cells, or why there is none. */
async function read(input: Input, cells: readonly string[]) {
  const { definition } = timestamp({ formats: ['YYYY-MM-DD HH:MM', 'ISO8601'], ...input })
  const records = cells.map((t) => ({ t }))
  const { clean, bad, repeated } = await validate(definition, records)
  const found = cells.map((_, index) => {
    const row = clean.find(({ _rec }) => _rec === String(index + 1))
    if (row) return String(row.t)
    return bad
      .find(({ record }) => record === index + 1)
      ?.reasons.map(({ code, message }) => `${code}: ${message}`)[0]
  })
  return { found, repeated }
}

test('a local time that does not exist is rejected with that reason', async () => {
  const forward: [string, string[], string, string][] = [
    ['Europe/Madrid', ['2024-03-31 02:00', '2024-03-31T02:59:59'], '2024-03-31 02:00', '2024-03-31 03:00'],
    ['Australia/Lord_Howe', ['2024-10-06 02:00', '2024-10-06 02:29'], '2024-10-06 02:00', '2024-10-06 02:30'],
    ['Australia/Sydney', ['2024-10-06 02:30'], '2024-10-06 02:00', '2024-10-06 03:00'],
    ['America/Santiago', ['2024-09-08 00:30'], '2024-09-08 00:00', '2024-09-08 01:00'],
    ['America/Sao_Paulo', ['2018-11-04 00:00'], '2018-11-04 00:00', '2018-11-04 01:00'],
    ['Asia/Beirut', ['2024-03-31 00:00'], '2024-03-31 00:00', '2024-03-31 01:00'],
    ['Pacific/Apia', ['2011-12-30 00:00', '2011-12-30 23:59'], '2011-12-30 00:00', '2011-12-31 00:00'],
    ['America/Bogota', ['1992-05-03 00:30'], '1992-05-03 00:00', '1992-05-03 01:00'],
  ]
  for (const [timeZone, cells, from, to] of forward) {
    const { found } = await read({ timeZone }, cells)
    expect(found).toEqual(
      cells.map(
        (cell) =>
          `not_a_timestamp: "${cell}" does not exist in ${timeZone}: the clocks went forward from ${from} to ${to}`,
      ),
    )
  }
})

test('the hours next to one that does not exist are loaded', async () => {
  const { found } = await read({ timeZone: 'Europe/Madrid' }, [
    '2024-03-31 01:59',
    '2024-03-31 03:00',
    '2024-03-31T02:30:00+01:00',
    '2024-03-31T02:30:00Z',
  ])
  expect(found).toEqual([
    '2024-03-31 00:59:00+00',
    '2024-03-31 01:00:00+00',
    '2024-03-31 01:30:00+00',
    '2024-03-31 02:30:00+00',
  ])
})

test.each([
  ['Europe/Madrid', '2024-10-27 02:30', '2024-10-27 00:30:00+00', '2024-10-27 01:30:00+00'],
  ['Australia/Sydney', '2024-04-07 02:00', '2024-04-06 15:00:00+00', '2024-04-06 16:00:00+00'],
  ['Australia/Lord_Howe', '2024-04-07 01:45', '2024-04-06 14:45:00+00', '2024-04-06 15:15:00+00'],
  ['America/Santiago', '2024-04-06 23:30', '2024-04-07 02:30:00+00', '2024-04-07 03:30:00+00'],
  ['America/Sao_Paulo', '2018-02-17 23:00', '2018-02-18 01:00:00+00', '2018-02-18 02:00:00+00'],
  ['America/St_Johns', '2010-11-07 00:00', '2010-11-07 02:30:00+00', '2010-11-07 03:30:00+00'],
])(
  'an hour that exists twice in %s is read as the column declares',
  async (timeZone, cell, first, second) => {
    const outcome = async (repeatedHour?: 'first' | 'second' | 'reject') =>
      read({ timeZone, ...(repeatedHour ? { repeatedHour } : {}) }, ['2024-06-01 12:00', cell])
    expect((await outcome('first')).found[1]).toBe(first)
    expect((await outcome('second')).found[1]).toBe(second)
    expect((await outcome('reject')).found[1]).toMatch(
      `not_a_timestamp: "${cell}" exists twice in ${timeZone}: the clocks went back from `,
    )
    expect((await outcome('first')).repeated).toEqual([])
    const unsaid = await outcome()
    expect([unsaid.found[1], unsaid.repeated]).toEqual([second, [{ column: 't', rows: 1, line: 3 }]])
  },
)

test('a time with an offset is unambiguous in an hour that exists twice', async () => {
  const cells = ['2024-10-27T02:30:00+02:00', '2024-10-27T02:30:00+01:00', '2024-10-27T00:30:00Z']
  for (const repeatedHour of ['first', 'second', 'reject'] as const) {
    const { found } = await read({ timeZone: 'Europe/Madrid', repeatedHour }, cells)
    expect(found).toEqual(['2024-10-27 00:30:00+00', '2024-10-27 01:30:00+00', '2024-10-27 00:30:00+00'])
  }
  expect((await read({ timeZone: 'Europe/Madrid' }, cells)).repeated).toEqual([])
})
