import { randomUUID } from 'node:crypto'
import { MESSAGE_REFUSALS } from '@aduana/contracts/messages'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { day, type Flow, openFlow } from '../testing/flow.ts'
import {
  completed,
  event,
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
import { countRefusedMessages } from './refused.ts'

let flow: Flow
let external: { id: string }
let own: { id: string }
beforeAll(async () => {
  flow = await openFlow()
  await saveExternal(flow, 'outside')
  await flow.save({ inside: ['production'] })
  await flow.update('production', { key: 'taken' })
  external = await flow.open('outside')
  own = await flow.open('inside')
})
afterAll(() => flow.drop())

const unknownRun = randomUUID()
const CASES: [code: string, what: string, text: () => string, detail: () => string][] = [
  [
    'not_json',
    'that is no JSON',
    () => '{"specversion":',
    () => 'The message is not JSON. Send a CloudEvent in structured JSON mode.',
  ],
  [
    'not_json',
    'that is empty',
    () => '',
    () => 'The message is not JSON. Send a CloudEvent in structured JSON mode.',
  ],
  [
    'not_a_cloud_event',
    'of another version of CloudEvents',
    () => JSON.stringify({ specversion: '0.3', id: '1', source: '/x', type: 'x', data: {} }),
    () => '"specversion" is "0.3"; expected "1.0". Send a CloudEvent 1.0.',
  ],
  [
    'not_a_cloud_event',
    'that is a list',
    () => '[1]',
    () => 'The message is a list of 1 entry; expected an object. Send a CloudEvent 1.0.',
  ],
  [
    'unknown_event_type',
    'of a type that only leaves',
    () => event('aduana.metric_run.requested', {}).text,
    () =>
      'The type is "aduana.metric_run.requested". Accepted types are aduana.projection.updated, aduana.metric_run.started, aduana.metric_run.heartbeat, aduana.metric_run.completed.',
  ],
  [
    'invalid_event',
    'with a field that the event does not have, and without one that it has',
    () => heartbeat({ runId: external.id, attempt: 0, progres: 1 }).text,
    () =>
      'aduana.metric_run.heartbeat: "data.attempt" is 0; expected a whole number of 1 or more. "data.at" is missing; expected a time with its zone, such as 2026-01-31T05:00:00Z. "data.progres" is not a known field; known fields are runId, attempt, at, progress, message.',
  ],
  [
    'unknown_run',
    'of a run that never was',
    () => started(ofRun({ id: unknownRun })).text,
    () => `there is no run ${unknownRun}`,
  ],
  [
    'unknown_attempt',
    'of an attempt that was not requested',
    () => started(ofRun({ id: external.id, attempt: 2 })).text,
    () => `run ${external.id} is in attempt 1, but this event is of attempt 2`,
  ],
  [
    'not_external',
    'of a run that Aduana computes itself',
    () => completed({ ...ofRun(own), status: 'succeeded', rowCount: 1, days: day('2026-03-09') }).text,
    () =>
      `run ${own.id} of inside is computed by the built-in runner. Send results only for requests whose runner is "external"`,
  ],
  [
    'unknown_dataset',
    'of a dataset that there is not',
    () => updated(update({ dataset: 'prodution' })).text,
    () => 'There is no dataset "prodution".',
  ],
  [
    'impossible_timestamp',
    'of a time before the year 2000',
    () => updated(update({ occurredAt: '1999-12-31T23:59:59Z' })).text,
    () => 'occurredAt is 1999-12-31T23:59:59Z',
  ],
  [
    'event_key_reused',
    'with the event key of another dataset',
    () => updated(update({ eventKey: 'taken', dataset: 'orders' })).text,
    () => 'The event key "taken" was already used for an update of another dataset. Send a new key.',
  ],
  [
    'bad_request',
    'of an update of days that no data can be of',
    () => updated(update({ days: [{ from: '0206-03-09', to: '0206-03-10' }] })).text,
    () => 'The days 0206-03-09 to 0206-03-10 are not between 1900 and 2199.',
  ],
  [
    'bad_request',
    'of values of days that no data can be of',
    () =>
      completed({
        ...ofRun(external),
        status: 'succeeded',
        rowCount: 1,
        days: [{ from: '2026-03-09', to: '9999-12-31' }],
      }).text,
    () => 'The days 2026-03-09 to 9999-12-31 are not between 1900 and 2199.',
  ],
]

CASES.push([
  'bad_window',
  'with results of more days than may be replaced at once',
  () =>
    completed({
      ...ofRun(external),
      status: 'succeeded',
      rowCount: 1,
      days: [{ from: '1950-01-01', to: '2150-01-01' }],
      manifest: { url: 's3://results/manifest.json', sha256: '0'.repeat(64) },
    }).text,
  () => 'The window 1950-01-01 to 2150-01-01',
])

describe('a message that can never be consumed', () => {
  test.each(CASES)('is refused as %s: one %s', async (code, _what, text, detail) => {
    const one = message(text())
    expect(await consumeMessages(inboxOf(flow), [one])).toEqual(['refused'])
    // However often it comes, it is kept once.
    expect(await consumeMessages(inboxOf(flow), [{ ...one, receives: 2 }])).toEqual(['refused'])
    const kept = await flow.pool.query(`select body, outbound from event_log where event_key like $1`, [
      `message:${one.id}:%`,
    ])
    expect(kept.rows).toEqual([
      {
        outbound: false,
        body: {
          type: 'message.refused',
          queue: 'https://sqs.test/events',
          messageId: one.id,
          code,
          detail: expect.stringContaining(detail()),
          body: one.text,
        },
      },
    ])
  })

  test('has a test for each code', () => {
    const codes = CASES.map(([code]) => code)
    expect(codes).toEqual(expect.arrayContaining(Object.keys(MESSAGE_REFUSALS)))
  })

  test('is stored unchanged, whatever its content', async () => {
    const one = message('\0 half a pair \ud800, a whole one 😀, \u0007')
    expect(await consumeMessages(inboxOf(flow), [one])).toEqual(['refused'])
    const kept = await flow.pool.query(
      `select body ->> 'body' as body from event_log where event_key like $1`,
      [`message:${one.id}:%`],
    )
    expect(kept.rows).toEqual([{ body: '\u2400 half a pair \ufffd, a whole one 😀, \u0007' }])
  })

  test('is counted once', async () => {
    const before = await countRefusedMessages(flow.db)
    const one = message('no')
    await consumeMessages(inboxOf(flow), [one, one])
    await consumeMessages(inboxOf(flow), [one])
    expect(await countRefusedMessages(flow.db)).toBe(before + 1)
  })

  test('changes nothing except the log of refusals', async () => {
    const runs = await flow.pool.query('select status from metric_runs')
    expect(new Set(runs.rows.map(({ status }) => status))).toEqual(new Set(['REQUESTED']))
    expect((await flow.pool.query('select from dataset_updates')).rowCount).toBe(1)
  })

  test('is delivered again when its refusal cannot be stored now', async () => {
    const holder = await flow.pool.connect()
    const one = message('no')
    try {
      await holder.query('begin')
      await holder.query('lock table event_log in access exclusive mode')
      const waiting = consumeMessages(inboxOf(flow), [one])
      await until(() => terminateLockWaiters(flow), { what: 'a connection waits for the log' })
      expect(await waiting).toEqual(['again'])
    } finally {
      await holder.query('rollback')
      holder.release()
    }
    expect(await consumeMessages(inboxOf(flow), [one])).toEqual(['refused'])
  })
})
