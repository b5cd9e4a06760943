import { addDays, type DayRange } from '@aduana/contracts/dates'
import { LONG } from '@aduana/testkit/long'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { validateExpression } from '../expressions/validate.ts'
import { type OracleData, oracleValues } from '../testing/oracle.ts'
import { type Random, randomDay, randomMetrics, randomOf, randomRow } from '../testing/random.ts'
import { openSales, PLACES, type SalesDatabase } from '../testing/sales.ts'

// Around a new year, a quarter and a week; what happens outside of these days has no rows.
const FROM = '2025-12-20'
const TO = '2026-01-14'
const SEEDS = Number(process.env.METRICS_SEEDS ?? (LONG ? 30 : 3))
const FIRST_SEED = Number(process.env.METRICS_FIRST_SEED ?? 1)

let db: SalesDatabase
beforeAll(async () => {
  db = await openSales()
})
afterAll(() => db.database.drop())

const single = (day: string): DayRange => ({ from: day, to: addDays(day, 1) })

describe('random metrics over random data', () => {
  test.each(Array.from({ length: SEEDS }, (_, index) => index + FIRST_SEED))(
    'have after each change the values of a full computation and of the formulas (seed %i)',
    async (seed) => {
      await db.database.pool.query('truncate test_sales, test_visits, daily_metrics')
      const random = randomOf(seed)
      const metrics = randomMetrics(random, 14)
      const definitions = new Map(metrics.map((definition) => [definition.code, definition]))
      for (const definition of metrics)
        expect(validateExpression(definition, { series: PLACES, metrics: definitions })).toEqual([])
      const data: OracleData = { rows: { sales: [], visits: [] }, definitions }
      let nextId = 1
      const add = async (dataset: 'sales' | 'visits', days: readonly string[]) => {
        const rows = days.map((day) => randomRow(random, dataset, nextId++, day))
        data.rows[dataset]?.push(...rows)
        await db.insert(dataset, rows)
        return rows
      }
      const drop = async (dataset: 'sales' | 'visits', count: number) => {
        const rows = (data.rows[dataset] ?? []).filter(() => random.chance(0.2)).slice(0, count)
        data.rows[dataset] = (data.rows[dataset] ?? []).filter((row) => !rows.includes(row))
        await db.remove(
          dataset,
          rows.map(({ id }) => id),
        )
        return rows
      }
      for (const dataset of ['sales', 'visits'] as const)
        await add(dataset, manyDays(random, dataset === 'sales' ? 50 : 25))
      await db.compute(metrics, [{ from: '2025-06-01', to: '2027-01-01' }])
      expectSame(await db.values(), oracleValues(data, FROM, TO))
      for (let change = 0; change < 5; change += 1) {
        const dataset = random.one(['sales', 'visits'] as const)
        const rows = [
          ...(await drop(dataset, 1 + random.below(8))),
          ...(random.chance(0.7) ? await add(dataset, manyDays(random, 1 + random.below(4))) : []),
        ]
        const cells = random.chance(0.5)
          ? {
              companies: rows.map(({ company }) => company),
              warehouses: rows.map(({ warehouse }) => warehouse),
            }
          : undefined
        await db.compute(
          metrics,
          rows.map(({ day }) => single(day)),
          cells,
        )
        expectSame(await db.values(), oracleValues(data, FROM, TO))
      }
      const again = await db.compute(metrics, [{ from: '2025-06-01', to: '2027-01-01' }])
      for (const result of again.values()) expect(result).toMatchObject({ rows: 0, removed: 0, days: [] })
    },
  )
})

function manyDays(random: Random, count: number): string[] {
  // Some days stay empty: windows must leave them out.
  return Array.from({ length: count }, () => randomDay(random, FROM, TO)).filter(
    (day) => Number(day.slice(8)) % 5 !== 3,
  )
}

function expectSame(found: ReadonlyMap<string, bigint>, wanted: ReadonlyMap<string, bigint>): void {
  const differ = new Set(
    [...found.keys(), ...wanted.keys()].filter((key) => found.get(key) !== wanted.get(key)),
  )
  expect([...differ].sort().map((key) => `${key}: ${found.get(key)} and not ${wanted.get(key)}`)).toEqual([])
}
