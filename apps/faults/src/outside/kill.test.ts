import type { FailPoint } from '@aduana/runtime/fail-points'
import { sampleHalf } from '@aduana/testkit/long'
import { createTestS3, type TestS3 } from '@aduana/testkit/s3'
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import { openOutside, RESULTS, saveOutside, sendProduction, wrongOutside } from '../testing/outside.ts'

// Nearly all of the time is spent waiting until the work of the dead is taken over.
vi.setConfig({ maxConcurrency: 5 })

/** Where a worker is killed; the second import is that of the results. */
const PLACES: [point: FailPoint, detail?: string][] = [
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
  test.for(sampleHalf(PLACES).map((place) => place.join(':')))(
    'at %s loses no run that is computed outside, and none is there twice',
    async (place, { expect }) => {
      const outside = await openOutside(s3)
      const { system, runner } = outside
      try {
        const doomed = await system.startWorker({ ADUANA_FAIL_POINTS: `${place}=kill` })
        await saveOutside(outside, ['outside.one'])
        await sendProduction(outside, 'new')
        const request = await runner.next('outside.one')
        const completed = await runner.write(request, { files: [RESULTS] })
        await runner.again(completed)
        expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
        await system.startWorker()
        await runner.again(completed)
        expect(await wrongOutside(outside, [request])).toEqual([])
      } finally {
        await outside.close()
      }
    },
  )
})
