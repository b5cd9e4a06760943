import type { FailPoint } from '@aduana/runtime/fail-points'
import { sampleHalf } from '@aduana/testkit/long'
import { createTestS3, type TestS3 } from '@aduana/testkit/s3'
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import { acceptProduction, openOutside, RESULTS, saveOutside, wrongOutside } from '../testing/outside.ts'

// Most of the time is spent waiting until the work of dead processes is taken over.
vi.setConfig({ maxConcurrency: 5 })

/** The fail points at which a worker is killed. The second import is that of the results. */
const KILL_POINTS: [point: FailPoint, detail?: string][] = [
  ['outbox.after-send'],
  ['inbox.before-commit'],
  ['inbox.after-commit'],
  ['stage.before-commit', 'parse/2'],
  ['stage.before-commit', 'validate/2'],
  ['stage.after-commit', 'quarantine/2'],
  ['load.before-commit', '2'],
  ['load.after-commit', '2'],
  ['stage.before-commit', 'fan-out/2'],
  ['stage.after-commit', 'fan-out/2'],
]

let s3: TestS3
beforeAll(async () => {
  s3 = await createTestS3()
})
afterAll(() => s3.stop())

describe.concurrent('a worker killed with SIGKILL', { timeout: 240_000 }, () => {
  test.for(sampleHalf(KILL_POINTS).map((failPoint) => failPoint.join(':')))(
    'at %s loses and duplicates no run of an external runner',
    async (failPoint, { expect }) => {
      const outside = await openOutside(s3)
      const { system, runner } = outside
      try {
        const victim = await system.startWorker({ ADUANA_FAIL_POINTS: `${failPoint}=kill` })
        await saveOutside(outside, ['outside.one'])
        await acceptProduction(outside, 'new')
        const request = await runner.next('outside.one')
        const completed = await runner.write(request, { files: [RESULTS] })
        await runner.again(completed)
        expect(await victim.exited).toEqual({ code: null, signal: 'SIGKILL' })
        await system.startWorker()
        await runner.again(completed)
        expect(await wrongOutside(outside, [request])).toEqual([])
      } finally {
        await outside.close()
      }
    },
  )
})
