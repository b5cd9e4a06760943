import type { QueueMessage } from '@aduana/messaging/sqs-queue'
import { until } from '@aduana/testkit/until'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { day, type Flow, openFlow } from '../testing/flow.ts'
import {
  completed,
  heartbeat,
  inboxOf,
  message,
  ofRun,
  saveExternal,
  started,
  terminateLockWaiters,
  update,
  updated,
} from '../testing/messages.ts'
import { consumeMessages } from './consume.ts'

let flow: Flow
beforeEach(async () => {
  flow = await openFlow()
})
afterEach(() => flow.drop())

const take = (...messages: QueueMessage[]) => consumeMessages(inboxOf(flow), messages)
const succeeded = (run: { id: string }) =>
  completed({ ...ofRun(run), status: 'succeeded', rowCount: 3, days: day('2026-03-09') })
const updatesOf = async () => (await flow.pool.query('select event_key, companies from dataset_updates')).rows

describe('messages in one batch', () => {
  test('are applied individually: a poison message does not delay the others', async () => {
    await saveExternal(flow, 'one', 'two', 'three')
    await flow.update('production')
    const [one, two, three] = await Promise.all(['one', 'two', 'three'].map((code) => flow.open(code)))
    if (!one || !two || !three) throw new Error('three runs')
    const verdicts = await take(
      started(ofRun(one)),
      message('poison'),
      started(ofRun({ id: '00000000-0000-4000-8000-000000000000' })),
      started(ofRun(two)),
      succeeded(two),
      updated(update({ eventKey: 'good' })),
      updated(update({ dataset: 'unknown' })),
      started({ ...ofRun(three), runner: 'with \0 and \udc00' }),
    )
    expect(verdicts).toEqual(['done', 'refused', 'refused', 'done', 'done', 'done', 'refused', 'done'])
    const states = (await Promise.all(['one', 'two', 'three'].map((code) => flow.runs(code)))).map(
      ([first]) => first?.status,
    )
    expect(states).toEqual(['RUNNING', 'SUCCEEDED', 'RUNNING'])
    expect((await updatesOf()).map(({ event_key }) => event_key)).toContain('good')
    const runner = await flow.pool.query('select runner from metric_runs where id = $1', [three.id])
    expect(runner.rows).toEqual([{ runner: 'with \u2400 and \ufffd' }])
  })

  test('of one run are applied as if they had arrived one after the other', async () => {
    await saveExternal(flow, 'one')
    await flow.update('production')
    const run = await flow.open('one')
    await take(
      heartbeat({ ...ofRun(run), progress: 0.7 }),
      heartbeat({ ...ofRun(run), progress: 0.2, message: 'fitting \0' }),
      heartbeat(ofRun(run)),
    )
    expect((await flow.open('one')).progress).toBe('0.7000')
    const row = await flow.pool.query('select message from metric_runs')
    expect(row.rows).toEqual([{ message: 'fitting \u2400' }])
  })
})

describe('an update', () => {
  test('that arrives twice, in one batch and later, counts once', async () => {
    await saveExternal(flow, 'one')
    const one = updated(update({ eventKey: 'once' }))
    expect(await take(one, one)).toEqual(['done', 'done'])
    expect(await take({ ...one, receives: 2 })).toEqual(['done'])
    expect(await updatesOf()).toHaveLength(1)
    expect(await flow.runs('one')).toHaveLength(1)
  })

  test('shares one run with other updates of its dataset in the batch, even if one of them is refused', async () => {
    await saveExternal(flow, 'one')
    const of = (eventKey: string, from: string) => updated(update({ eventKey, days: day(from) }))
    const known = of('b', '2026-03-01')
    expect(await take(known, of('a', '2026-03-03'), of('b', '2026-03-09'))).toEqual(['done', 'done', 'done'])
    expect(await flow.open('one')).toMatchObject({
      days: '{[2026-03-01,2026-03-02),[2026-03-03,2026-03-04)}',
      next_days: null,
      attempt: 1,
    })
    const far = of('far', '1812-03-01')
    expect(await take(of('c', '2026-03-05'), far, of('d', '2026-03-06'))).toEqual(['done', 'refused', 'done'])
    expect((await flow.open('one')).next_days).toBe('{[2026-03-05,2026-03-07)}')
    expect(await updatesOf()).toHaveLength(4)
  })

  test('with texts that PostgreSQL cannot store is refused, because replacing characters could make two keys equal', async () => {
    const odd = [
      update({ eventKey: 'a\0b' }),
      update({ eventKey: 'a\ud800' }),
      update({ dataset: 'a\0' }),
      update({ companies: ['A\0'] }),
      update({ warehouses: ['\udfff'] }),
    ]
    expect(await take(...odd.map(updated))).toEqual(odd.map(() => 'refused'))
    expect(await updatesOf()).toEqual([])
  })
})

describe('a message that cannot be consumed now', () => {
  test('is delivered again after a connection is cut, and is applied then', async () => {
    await saveExternal(flow, 'one', 'two')
    await flow.update('production')
    const [one, two] = [await flow.open('one'), await flow.open('two')]
    const holder = await flow.pool.connect()
    await holder.query('begin')
    await holder.query('select from metric_runs where id = $1 for update', [one.id])
    const both = [started(ofRun(one)), started(ofRun(two))]
    const taking = take(...both)
    let cuts = 0
    const cutting = until(
      async () => {
        if (await terminateLockWaiters(flow)) cuts += 1
        return cuts === 2
      },
      { what: 'both tries of the first are cut' },
    )
    const verdicts = await taking
    await cutting
    await holder.query('rollback')
    holder.release()
    expect(verdicts).toEqual(['again', 'done'])
    expect(await take(...both)).toEqual(['done', 'done'])
    expect((await flow.open('one')).status).toBe('RUNNING')
  })

  test('is not logged as refused', async () => {
    const holder = await flow.pool.connect()
    await holder.query('begin')
    await holder.query('lock table dataset_updates in access exclusive mode')
    const one = updated(update({ eventKey: 'held up' }))
    const taking = take(one)
    await until(() => terminateLockWaiters(flow), { what: 'the update waits' })
    expect(await taking).toEqual(['again'])
    await holder.query('rollback')
    holder.release()
    const refused = await flow.pool.query(`select from event_log where type = 'message.refused'`)
    expect(refused.rowCount).toBe(0)
    expect(await take(one)).toEqual(['done'])
    expect(await updatesOf()).toHaveLength(1)
  })
})
