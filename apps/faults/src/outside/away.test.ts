import type { MetricRunRequest } from '@aduana/contracts/metrics/events'
import type { OutsideSystem } from '@aduana/testkit/outside'
import { createTestS3, type TestS3 } from '@aduana/testkit/s3'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openOutside, RESULTS, saveOutside, sendProduction, wrongOutside } from '../testing/outside.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

let s3: TestS3
let outside: OutsideSystem
const saved: string[] = []
/** One installation whose two workers share a queue; each test has metrics of its own. */
beforeAll(async () => {
  s3 = await createTestS3()
  outside = await openOutside(s3)
  await Promise.all([outside.system.startWorker(), outside.system.startWorker()])
})
afterAll(async () => {
  await outside.close()
  await s3.stop()
})

/** Save metrics, and have all of them asked for by a new file. */
async function ask(codes: readonly string[], tag: string): Promise<void> {
  saved.push(...codes)
  await saveOutside(outside, codes)
  await sendProduction(outside, tag)
}
/** The requests: each file asks for the metrics of all tests so far. */
async function requests(): Promise<MetricRunRequest[]> {
  const heard: MetricRunRequest[] = []
  for (const code of saved) heard.push(await outside.runner.next(code))
  return heard
}
const announceAll = async (all: readonly MetricRunRequest[]) => {
  for (const request of all) await outside.runner.announce(request, { files: [RESULTS] })
}
/** Wait until a worker has logged an event with a text, later than the lines that there were. */
const logged = (text: string, since: number) =>
  until(
    () =>
      linesOf()
        .slice(since)
        .some((line) => line.includes(text)),
    { what: `somebody logs ${text}`, within: 60_000 },
  )
const linesOf = () => outside.system.processes().flatMap(({ lines }) => lines)
const count = async (sql: string, values: unknown[] = []) =>
  (await outside.system.database.pool.query(sql, values)).rowCount ?? 0
const SUCCEEDED = `select from metric_runs r join metrics m on m.id = r.metric_id
  where m.code = $1 and r.status = 'SUCCEEDED'`

describe('runs that are computed outside', () => {
  test('end once each, although two workers share the queue and everything is said twice', async () => {
    await ask(
      Array.from({ length: 10 }, (_, at) => `many.m${at}`),
      'first',
    )
    const all = await requests()
    const { runner } = outside
    const say = async (request: MetricRunRequest) => {
      const completed = await runner.write(request, { files: [RESULTS] })
      const twice = [1, 2].flatMap(() => [
        () => runner.started(request),
        () => runner.heartbeat(request, 0.5),
        () => runner.again(completed),
      ])
      await Promise.all(twice.map((tell) => tell()))
    }
    await Promise.all(all.map(say))
    expect(await wrongOutside(outside, all)).toEqual([])
    const takers = outside.system
      .processes()
      .map(({ lines }) => lines.filter((line) => line.includes('"event":"inbox.taken"')).length)
    expect(Math.min(...takers)).toBeGreaterThan(0)
  })

  test('are asked for once SNS is there again', async () => {
    s3.setUnavailable(({ service }) => service === 'sns')
    await ask(['sns.one'], 'sns')
    await until(async () => (await count('select from event_log where outbound and send_attempts > 1')) > 0, {
      what: 'a request has been tried in vain, twice',
      within: 60_000,
    })
    s3.setUnavailable(false)
    const all = await requests()
    await announceAll(all)
    expect(await wrongOutside(outside, all)).toEqual([])
  })

  test('end once, although SQS neither hands out nor takes away messages for a while', async () => {
    await ask(['sqs.one'], 'sqs')
    const all = await requests()
    s3.setUnavailable(
      ({ action }) => action === 'DeleteMessageBatch' || action === 'ChangeMessageVisibilityBatch',
    )
    await announceAll(all)
    await until(async () => (await count(SUCCEEDED, ['sqs.one'])) === 1, {
      what: 'the results are values, although the message is still there',
      within: 60_000,
    })
    s3.setUnavailable(({ service }) => service === 'sqs')
    await logged('"event":"queue.failed"', linesOf().length)
    s3.setUnavailable(false)
    expect(await wrongOutside(outside, all)).toEqual([])
  })

  test('have their results imported once S3 is there again', async () => {
    await ask(['s3.one'], 's3')
    const all = await requests()
    const { runner } = outside
    const completed = await Promise.all(all.map((request) => runner.write(request, { files: [RESULTS] })))
    const since = linesOf().length
    s3.setUnavailable(({ service }) => service === 's3')
    for (const data of completed) await runner.again(data)
    await logged('"event":"stage.error"', since)
    s3.setUnavailable(false)
    expect(await wrongOutside(outside, all)).toEqual([])
  })
})
