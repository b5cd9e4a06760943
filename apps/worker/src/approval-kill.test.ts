import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { startApi } from '@aduana/testkit/api'
import { sampleHalf } from '@aduana/testkit/long'
import { describe, test } from 'vitest'
import { approve, cantidades, day, events, held, openSystem, preview, waiting } from './testing/approvals.ts'

describe.concurrent('when processes die', { timeout: 300_000 }, () => {
  test.for(
    sampleHalf([
      'preview.before-commit',
      'preview.after-commit',
      'stage.before-work:load',
      'artifact.after-rename:preview.json',
    ]),
  )('after a worker is killed at %s, the job waits and can be approved', async (point, { expect }) => {
    const system = await openSystem()
    try {
      const doomed = await system.startWorker({ ADUANA_FAIL_POINTS: `${point}=kill` })
      const id = await system.accept(day('2024-01-01', [1, 2]), {
        dataset: 'production',
        requireApproval: 'true',
      })
      expect(await doomed.exited).toMatchObject({ signal: 'SIGKILL' })
      await system.startWorker()
      await waiting(system, id)
      expect(await held(system, id)).toBe(0)
      await approve(system, id)
      expect(await system.finished(id, 120_000)).toMatchObject({ status: 'COMPLETED', counts: { loaded: 2 } })
      expect(await cantidades(system, '2024-01-01')).toEqual([1, 2])
      expect(await events(system, id)).toEqual(['job.waiting', 'job.approved'])
    } finally {
      await system.close()
    }
  })

  test.for(sampleHalf(['load.before-commit', 'load.after-commit']))(
    'after a worker is killed at %s, what was approved is published once, without a new approval',
    async (point, { expect }) => {
      const system = await openSystem()
      try {
        const doomed = await system.startWorker({ ADUANA_FAIL_POINTS: `${point}=kill` })
        const id = await system.accept(day('2024-01-01', [1, 2]), {
          dataset: 'production',
          requireApproval: 'true',
        })
        await waiting(system, id)
        await approve(system, id)
        expect(await doomed.exited).toMatchObject({ signal: 'SIGKILL' })
        await system.startWorker()
        expect(await system.finished(id, 120_000)).toMatchObject({ status: 'COMPLETED' })
        expect(await cantidades(system, '2024-01-01')).toEqual([1, 2])
        expect(await events(system, id)).toEqual(['job.waiting', 'job.approved'])
      } finally {
        await system.close()
      }
    },
  )

  test.for([
    ['approve.before-commit', 0],
    ['approve.after-commit', 1],
  ] as const)(
    'an API killed at %s has approved or has not, and the job shows which',
    async ([point, times], { expect }) => {
      const system = await openSystem()
      try {
        await system.startWorker()
        const id = await system.accept(day('2024-01-01', [1, 2]), {
          dataset: 'production',
          requireApproval: 'true',
        })
        await waiting(system, id)
        const api = await startApi(system, { ADUANA_FAIL_POINTS: `${point}=kill` })
        await expect(api.fetch(`/api/jobs/${id}/approve`, { method: 'POST' })).rejects.toThrow()
        expect(await api.process.exited).toMatchObject({ signal: 'SIGKILL' })
        if (times === 0) {
          await waiting(system, id)
          expect((await preview(system, id)).approvedBy).toBeNull()
          await approve(system, id)
        }
        expect(await system.finished(id, 120_000)).toMatchObject({ status: 'COMPLETED' })
        expect(await cantidades(system, '2024-01-01')).toEqual([1, 2])
        expect(await events(system, id)).toEqual(['job.waiting', 'job.approved'])
      } finally {
        await system.close()
      }
    },
  )

  test('a load that fails after the approval is retried without a new approval', async ({ expect }) => {
    const system = await openSystem()
    try {
      const broken = await system.startWorker({ ADUANA_FAIL_POINTS: 'load.before-transaction=throw' })
      const id = await system.accept(day('2024-01-01', [1, 2]), {
        dataset: 'production',
        requireApproval: 'true',
        from: '2024-01-01',
        to: '2024-01-02',
      })
      await waiting(system, id)
      await approve(system, id)
      expect(await system.finished(id, 120_000)).toMatchObject({ status: 'FAILED', stage: 'load' })
      await broken.stop()
      await system.startWorker()
      await retryJob(system.database.db, system.admin, id)
      expect(await system.finished(id, 120_000)).toMatchObject({ status: 'COMPLETED' })
      expect(await events(system, id)).toEqual(['job.waiting', 'job.approved'])
    } finally {
      await system.close()
    }
  })
})
