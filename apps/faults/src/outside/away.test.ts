import type { MetricRunRequest } from '@aduana/contracts/metrics/events'
import type { OutsideSystem } from '@aduana/testkit/outside'
import { createTestS3, type TestS3 } from '@aduana/testkit/s3'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { acceptProduction, openOutside, RESULTS, saveOutside, wrongOutside } from '../testing/outside.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

let s3: TestS3
let outside: OutsideSystem
/** The load of each file requests runs of all of them. */
const CODES = Array.from({ length: 8 }, (_, at) => `outside.m${at}`)
/** Two workers of one installation share a queue. */
beforeAll(async () => {
  s3 = await createTestS3()
  outside = await openOutside(s3)
  await Promise.all([outside.system.startWorker(), outside.system.startWorker()])
  await saveOutside(outside, CODES)
})
afterAll(async () => {
  await outside.close()
  await s3.stop()
})

/** Accepts a file and returns the requests that its load causes. */
async function requestsAfter(tag: string): Promise<MetricRunRequest[]> {
  await acceptProduction(outside, tag)
  return requests()
}
async function requests(): Promise<MetricRunRequest[]> {
  const received: MetricRunRequest[] = []
  for (const code of CODES) received.push(await outside.runner.next(code))
  return received
}
const announceAll = async (all: readonly MetricRunRequest[]) => {
  for (const request of all) await outside.runner.announce(request, { files: [RESULTS] })
}
/** Returns how often workers have logged an event. */
const logged = (event: string) =>
  outside.system
    .processes()
    .flatMap(({ lines }) => lines.filter((line) => line.includes(`"event":"${event}"`))).length
/** Waits until workers have logged an event more than `before` times. */
const untilLogged = (event: string, before: number) =>
  until(() => logged(event) > before, { what: `a worker logs ${event}`, within: 120_000 })
const count = async (sql: string, values: unknown[] = []) =>
  (await outside.system.database.pool.query(sql, values)).rowCount ?? 0
const SUCCEEDED = `select from metric_runs where id = any ($1::uuid[]) and status = 'SUCCEEDED'`

describe('runs of an external runner', () => {
  test('end once each, although two workers share the queue and every message is sent twice', async () => {
    const all = await requestsAfter('first')
    const { runner } = outside
    const sendTwice = async (request: MetricRunRequest) => {
      const completed = await runner.write(request, { files: [RESULTS] })
      const sends = [1, 2].flatMap(() => [
        () => runner.started(request),
        () => runner.heartbeat(request, 0.5),
        () => runner.again(completed),
      ])
      await Promise.all(sends.map((send) => send()))
    }
    await Promise.all(all.map(sendTwice))
    expect(await wrongOutside(outside, all)).toEqual([])
  })

  test('are requested once SNS is available again', async () => {
    s3.setUnavailable(({ service }) => service === 'sns')
    await acceptProduction(outside, 'sns')
    await until(async () => (await count('select from event_log where outbound and send_attempts > 1')) > 0, {
      what: 'a request could not be sent, twice',
      within: 120_000,
    })
    s3.setUnavailable(false)
    const all = await requests()
    await announceAll(all)
    expect(await wrongOutside(outside, all)).toEqual([])
  })

  test('end once, although SQS neither delivers nor deletes messages for a while', async () => {
    const all = await requestsAfter('sqs')
    s3.setUnavailable(
      ({ action }) => action === 'DeleteMessageBatch' || action === 'ChangeMessageVisibilityBatch',
    )
    await announceAll(all)
    const ids = all.map(({ runId }) => runId)
    await until(async () => (await count(SUCCEEDED, [ids])) === all.length, {
      what: 'the results are values, although the message is not deleted',
      within: 120_000,
    })
    s3.setUnavailable(({ service }) => service === 'sqs')
    await untilLogged('queue.failed', logged('queue.failed'))
    s3.setUnavailable(false)
    expect(await wrongOutside(outside, all)).toEqual([])
  })

  test('have their results imported once S3 is available again', async () => {
    const all = await requestsAfter('s3')
    const { runner } = outside
    const completed = await Promise.all(all.map((request) => runner.write(request, { files: [RESULTS] })))
    const before = logged('stage.error')
    s3.setUnavailable(({ service }) => service === 's3')
    for (const data of completed) await runner.again(data)
    await untilLogged('stage.error', before)
    s3.setUnavailable(false)
    expect(await wrongOutside(outside, all)).toEqual([])
  })
})
