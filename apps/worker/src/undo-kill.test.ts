import { readJob } from '@aduana/jobs/read/jobs'
import { sampleHalf } from '@aduana/testkit/long'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { addUndoDatasets, requestUndo, stateOf } from '@aduana/testkit/undo'
import { until } from '@aduana/testkit/until'
import { describe, expect, test, vi } from 'vitest'

// Most of the time is spent waiting until the work of the dead process is taken over.
vi.setConfig({ maxConcurrency: 4 })

const KINDS = {
  replaced: {
    dataset: 'stock',
    table: 'stock_count',
    file: (n: number) =>
      `day,company,item,pieces,remark\n${Array.from({ length: 20 }, (_, index) => `2024-01-0${1 + (index % 3)},North,I${index},${n},\n`).join('')}`,
  },
  merged: {
    dataset: 'contracts',
    table: 'contract',
    file: (n: number) =>
      `number,day,amount,changed\n${Array.from({ length: 20 }, (_, index) => `K${index * n},2024-01-0${n},${n},2024-02-0${n} 00:00:00\n`).join('')}`,
  },
} as const

/** Starts two imports and an undo of the second; `place` is where the first worker fails. */
async function prepare(system: TestSystem, kind: keyof typeof KINDS, place: string) {
  const { dataset, table, file } = KINDS[kind]
  const worker = await system.startWorker({ ADUANA_FAIL_POINTS: place })
  const first = await system.finished(await system.accept(file(1), { dataset }), 60_000)
  expect(first.status).toBe('COMPLETED')
  const before = await stateOf(system, dataset, table)
  const second = await system.accept(file(2), { dataset })
  return { worker, before, second, state: () => stateOf(system, dataset, table) }
}

/** Checks that the undo has happened once: its rows, import and events. */
async function mustBeOnce(system: TestSystem, undo: string, second: string): Promise<void> {
  const { db, pool } = system.database
  expect(await readJob(db, system.admin, second)).toMatchObject({ batchDeleted: true, undoneBy: undo })
  const facts = await pool.query(
    `select (select count(*)::int from dataset_updates where job_id = $1) as updates,
      (select count(*)::int from event_log where type = 'import.undone') as events,
      (select count(*)::int from audit_log where action = 'import.undone') as audits,
      (select count(*)::int from window_locks) as locks, (select count(*)::int from window_leases) as leases`,
    [undo],
  )
  expect(facts.rows).toEqual([{ updates: 1, events: 1, audits: 1, locks: 0, leases: 0 }])
}

describe.concurrent('an undo whose worker is killed', { timeout: 240_000 }, () => {
  test.for(
    sampleHalf([
      ['replaced', 'undo.before-transaction'],
      ['replaced', 'undo.after-delete'],
      ['merged', 'undo.after-delete'],
      ['replaced', 'undo.before-commit'],
      ['merged', 'undo.before-commit'],
      ['replaced', 'undo.after-commit'],
    ] as const),
  )('(%s, at %s) happens exactly once', async ([kind, point], { expect: its }) => {
    const system = await createTestSystem()
    await addUndoDatasets(system)
    try {
      const { worker, before, second, state } = await prepare(system, kind, `${point}=kill`)
      its(await system.finished(second, 60_000)).toMatchObject({ status: 'COMPLETED' })
      const undo = await requestUndo(system, second)
      its(await worker.exited).toEqual({ code: null, signal: 'SIGKILL' })
      await system.startWorker()
      its(await system.finished(undo, 120_000)).toMatchObject({ status: 'COMPLETED' })
      its(await state()).toBe(before)
      await mustBeOnce(system, undo, second)
    } finally {
      await system.close()
    }
  })

  test.for(
    sampleHalf([
      ['replaced', 'load.before-image'],
      ['replaced', 'load.after-image'],
      ['merged', 'load.after-image'],
    ] as const),
  )(
    'while its import (%s) keeps what it replaces, at %s, can be undone later',
    async ([kind, point], { expect: its }) => {
      const system = await createTestSystem()
      await addUndoDatasets(system)
      try {
        const { worker, before, second, state } = await prepare(system, kind, `${point}:2=kill`)
        its(await worker.exited).toEqual({ code: null, signal: 'SIGKILL' })
        await system.startWorker()
        its(await system.finished(second, 120_000)).toMatchObject({ status: 'COMPLETED' })
        const undo = await requestUndo(system, second)
        its(await system.finished(undo, 120_000)).toMatchObject({ status: 'COMPLETED' })
        its(await state()).toBe(before)
        await mustBeOnce(system, undo, second)
      } finally {
        await system.close()
      }
    },
  )

  test('happens exactly once when the worker was only frozen, and resumes after another worker has done its work', async ({
    expect: its,
  }) => {
    const system = await createTestSystem()
    await addUndoDatasets(system)
    try {
      const { worker, before, second, state } = await prepare(system, 'replaced', 'undo.before-commit=stop')
      its(await system.finished(second, 60_000)).toMatchObject({ status: 'COMPLETED' })
      const undo = await requestUndo(system, second)
      await worker.untilFrozen(60_000)
      await system.startWorker()
      its(await system.finished(undo, 120_000)).toMatchObject({ status: 'COMPLETED' })
      const told = worker.lines.length
      worker.signal('SIGCONT')
      await until(() => worker.lines.slice(told).some((line) => /stage\.(fenced_out|error)/.test(line)), {
        within: 60_000,
        what: 'the frozen worker has gone on',
      })
      its(await state()).toBe(before)
      await mustBeOnce(system, undo, second)
    } finally {
      await system.close()
    }
  })
})
