import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LONG } from '@aduana/testkit/long'
import { createRandom } from '@aduana/testkit/random'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect, test } from 'vitest'
import { brokenGuarantees } from './guarantees.ts'
import { HEADER } from './production-file.ts'

const IMPORTS = LONG ? 100 : 20
const DAYS = 30

/** Returns a file of a few days, which overlap with those of others. The lots name the import. */
function planned(index: number, random: ReturnType<typeof createRandom>) {
  const first = random.int(0, DAYS - 1)
  const days = Array.from({ length: random.int(1, 6) }, (_, offset) =>
    new Date(Date.UTC(2024, 2, 1 + first + offset)).toISOString().slice(0, 10),
  )
  const rows = days.map((day) => `${day};M001;W0001;1;PVC;I${index};1;1;`)
  const to = new Date(Date.UTC(2024, 2, 1 + first + days.length)).toISOString().slice(0, 10)
  const window = { from: days[0] ?? '', to, onConflict: 'wait' }
  return {
    days,
    content: `${[HEADER, ...rows].join('\n')}\n`,
    form: { dataset: 'production', ...(random.chance(0.3) ? window : {}) },
  }
}

test('concurrent imports with overlapping windows leave the same rows as one after the other', {
  timeout: 300_000,
}, async () => {
  const system = await createTestSystem({ workers: 2 })
  try {
    const random = createRandom(100)
    const plans = Array.from({ length: IMPORTS }, (_, index) => planned(index, random))
    const daysOf = new Map<string, { index: number; days: string[] }>()
    for (const [index, { content, form, days }] of plans.entries())
      daysOf.set(await system.accept(content, form), { index, days })
    for (const id of daysOf.keys()) expect((await system.finished(id, 240_000)).status).toBe('COMPLETED')
    const loads = await system.database.pool.query<{ id: string }>('select id from jobs order by loaded_at')
    const expected = new Map<string, string>()
    for (const { id } of loads.rows)
      for (const day of daysOf.get(id)?.days ?? []) expected.set(day, `I${daysOf.get(id)?.index}`)
    const found = await system.database.pool.query<{ day: string; lote: string }>(
      'select fecha_contabilizacion::text as day, lote from fact_production order by 1',
    )
    expect(found.rows.map(({ day, lote }) => [day, lote])).toEqual([...expected].sort())
    expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
  } finally {
    await system.close()
  }
})

test('rejects of a file are superseded by the last of two concurrent imports that replace its last days', async () => {
  const system = await createTestSystem()
  const { pool } = system.database
  const day = (date: string, lot: string, shift = '1') => `${date};M001;W0001;${shift};PVC;${lot};1;1;`
  const file = (...rows: string[]) => `${[HEADER, ...rows].join('\n')}\n`
  const acceptedAs = (...rows: string[]) => system.accept(file(...rows), { dataset: 'production' })
  const go = join(system.dataDir, 'go')
  try {
    await system.startWorker({ ADUANA_FAIL_POINTS: `load.before-commit:2=hold-${go}` })
    const good = Array.from({ length: 19 }, (_, index) => day('2024-01-01', `A${index}`))
    const first = await acceptedAs(...good, day('2024-01-02', 'B'), day('2024-01-02', 'C', '7'))
    expect(await system.finished(first)).toMatchObject({ status: 'COMPLETED' })
    const second = await acceptedAs(day('2024-01-01', 'D'))
    await until(() => existsSync(`${go}.held`), { what: 'the second import is about to commit' })

    await system.startWorker()
    const third = await acceptedAs(day('2024-01-02', 'E'))
    await until(() => waitsForLock(pool), { what: 'the third import waits for the second' })
    await writeFile(go, '')
    for (const id of [second, third]) expect((await system.finished(id)).status).toBe('COMPLETED')
    const rejects = await pool.query('select job_id, state, superseded_by from quarantined_records')
    expect(rejects.rows).toEqual([{ job_id: first, state: 'superseded', superseded_by: third }])
    expect(await brokenGuarantees(pool, system.store)).toEqual([])
  } finally {
    await system.close()
  }
})

async function waitsForLock(pool: TestSystem['database']['pool']): Promise<boolean> {
  const found = await pool.query(`select from pg_stat_activity
    where datname = current_database() and application_name = 'aduana worker' and wait_event_type = 'Lock'`)
  return found.rowCount === 1
}
