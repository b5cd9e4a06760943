import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { requestUndo } from '@aduana/testkit/undo'
import { until } from '@aduana/testkit/until'
import { holdingRow, untilWaiting } from '@aduana/testkit/waiting'
import { afterEach, expect, test } from 'vitest'

let system: TestSystem
// Tests fail when transactions have deadlocked.
afterEach(() => system.close())

const FILE = 'fecha;maquina;maquinista;turno;lote;cantidad;peso\n2024-01-03;M001;W0001;1;A;1;1\n'

/** Starts a system whose worker pauses at a fail point until it is resumed. */
async function heldAt(place: string): Promise<{ reached(): Promise<void>; goOn(): Promise<void> }> {
  system = await createTestSystem()
  const go = join(system.dataDir, 'go')
  const worker = await system.startWorker({ ADUANA_FAIL_POINTS: `${place}=hold-${go}` })
  return {
    reached: async () => {
      await until(() => existsSync(`${go}.held`), { what: `the worker is at ${place}`, within: 60_000 })
      expect(worker.alive()).toBe(true)
    },
    goOn: () => writeFile(go, ''),
  }
}

/** Lets a job end behind its own heartbeat while both wait for the row of the job. */
async function endBehindHeartbeat(id: string, goOn: () => Promise<void>): Promise<void> {
  const { pool } = system.database
  await holdingRow(pool, { table: 'jobs', id }, async () => {
    await untilWaiting(pool, 1)
    await goOn()
    await untilWaiting(pool, 2)
  })
  expect(await system.finished(id)).toMatchObject({ status: 'COMPLETED' })
  const failed = await pool.query(`select error from stage_results where state = 'failed'`)
  expect(failed.rows).toEqual([])
}

test('a load commits behind its own heartbeat without a deadlock', async () => {
  const held = await heldAt('load.before-commit')
  const id = await system.accept(FILE, { dataset: 'production' })
  await held.reached()
  await endBehindHeartbeat(id, held.goOn)
})

test('an undo commits behind its own heartbeat without a deadlock', async () => {
  const held = await heldAt('undo.before-commit')
  const job = await system.import(FILE, { dataset: 'production' })
  const id = await requestUndo(system, job.id)
  await held.reached()
  await endBehindHeartbeat(id, held.goOn)
})

/** Orders with the hour of their last change, the later keys first. */
const orders = (changes: Record<string, number>) =>
  [
    'order_id;timestamp;items_count;company;warehouse;source_modified_timestamp',
    ...Object.entries(changes).map(
      ([id, hour]) => `${id};2024-01-03 10:00:00;${hour};North;W1;2024-01-03 ${hour}:00:00`,
    ),
  ].join('\n')

test.each([
  ['changes both', { Z: 11, A: 11 }],
  ['leaves the first as it is', { Z: 11, A: 10 }],
])('an upsert that %s locks rows in the order of their keys', async (_, changes) => {
  system = await createTestSystem({ workers: 1 })
  const { pool } = system.database
  const bring = { dataset: 'orders' }
  await system.import(orders({ Z: 10 }), bring)
  await system.import(orders({ A: 10 }), bring)
  const first = await pool.query<{ id: string }>(`select id from order_detail where order_id = 'A'`)
  let id = ''
  await holdingRow(pool, { table: 'order_detail', id: String(first.rows[0]?.id) }, async () => {
    id = await system.accept(orders(changes), bring)
    await untilWaiting(pool, 1)
    // The rows after it are still unlocked.
    const later = `select from order_detail where order_id = 'Z' for no key update nowait`
    expect((await pool.query(later)).rowCount).toBe(1)
  })
  expect(await system.finished(id)).toMatchObject({ status: 'COMPLETED' })
})
