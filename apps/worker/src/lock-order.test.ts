import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { holdingRow, untilWaiting } from '@aduana/testkit/waiting'
import { afterEach, expect, test } from 'vitest'
import { askUndo } from './testing/undo.ts'

let system: TestSystem
// Fails when transactions have deadlocked.
afterEach(() => system.close())

const FILE = 'fecha;maquina;maquinista;turno;lote;cantidad;peso\n2024-01-03;M001;W0001;1;A;1;1\n'

/** A system whose worker stands still at a place until it is told to go on. */
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

/** Let a job come to its end behind its own sign of life, both of them waiting for the row of the job. */
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

test('a load commits behind its own sign of life without a deadlock', async () => {
  const held = await heldAt('load.before-commit')
  const id = await system.accept(FILE, { dataset: 'production' })
  await held.reached()
  await endBehindHeartbeat(id, held.goOn)
})

test('an undo commits behind its own sign of life without a deadlock', async () => {
  const held = await heldAt('undo.before-commit')
  const job = await system.import(FILE, { dataset: 'production' })
  const id = await askUndo(system, job.id)
  await held.reached()
  await endBehindHeartbeat(id, held.goOn)
})
