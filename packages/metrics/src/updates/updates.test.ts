import { ProblemError } from '@aduana/contracts/problems'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { expirePendingRuns } from '../runs/expire.ts'
import { cancelRun } from '../runs/manual.ts'
import { after, day, type Flow, NOON, openFlow } from '../testing/flow.ts'
import { acceptProjectionUpdate } from './accept.ts'
import { fanOutUpdate } from './fan-out.ts'

let flow: Flow
beforeEach(async () => {
  flow = await openFlow()
})
afterEach(() => flow.drop())

const MARCH_9 = '{[2026-03-09,2026-03-10)}'
const BOTH_DAYS = '{[2026-03-08,2026-03-10)}'

test('a run of a metric of one dataset is requested in the transaction of its update, with its inputs and catalogue', async () => {
  await flow.save({ pieces: ['production'] })
  const { updateId, scheduled } = await flow.update('production', { key: 'first', companies: ['ACME'] })
  const run = await flow.open('pieces')
  expect(scheduled).toMatchObject({ requested: [run.id], pending: [], merged: [] })
  expect(run).toMatchObject({
    status: 'REQUESTED',
    cause: 'update',
    as_of: '2026-03-10',
    days: MARCH_9,
    attempt: 1,
  })
  const sent = await flow.pool.query(
    `select body, sent_at from event_log where outbound and type = 'aduana.metric_run.requested'`,
  )
  expect(sent.rows).toEqual([
    { sent_at: null, body: expect.objectContaining({ specversion: '1.0', id: `${run.id}:1:requested` }) },
  ])
  // The runner reads the rest: most of the log would be copies of it.
  expect(sent.rows[0]?.body.data).toEqual({ runId: run.id, attempt: 1, metric: 'pieces', runner: 'builtin' })
  expect(await flow.request(run.id)).toMatchObject({
    metric: 'pieces',
    companies: ['ACME'],
    inputs: [{ dataset: 'production', updateId, eventKey: 'first', occurredAt: NOON.toISOString() }],
    catalogue: [
      {
        series: 'production.all',
        table: 'public.fact_production',
        column: null,
        dayColumn: 'fecha_contabilizacion',
      },
    ],
  })
})

test('an update that is sent twice, also concurrently, counts once', async () => {
  await flow.save({ pieces: ['production'] })
  const all = await Promise.all(Array.from({ length: 6 }, () => flow.update('production', { key: 'same' })))
  expect(all.filter(({ fresh }) => fresh)).toHaveLength(1)
  expect(new Set(all.map(({ updateId }) => updateId)).size).toBe(1)
  expect(await flow.runs('pieces')).toHaveLength(1)
})

test('an update that the pipeline fans out twice counts once', async () => {
  await flow.save({ pieces: ['production'] })
  const { updateId } = await flow.update('production')
  await flow.finish((await flow.open('pieces')).id)
  expect((await flow.inTx((tx) => fanOutUpdate(tx, updateId))).requested).toEqual([])
  expect(await flow.runs('pieces')).toHaveLength(1)
})

test.each([
  ['unknown_dataset', { dataset: 'unknown' }],
  ['impossible_timestamp', { occurredAt: '1999-12-31T23:59:59Z' }],
  ['impossible_timestamp', { occurredAt: new Date(Date.now() + 6 * 60_000).toISOString() }],
  ['event_key_reused', { eventKey: 'taken', dataset: 'orders' }],
])('an update is refused with %s, and nothing is stored', async (code, change) => {
  await flow.update('production', { key: 'taken', days: [] })
  const update = { eventKey: 'k', dataset: 'production', occurredAt: after(0), days: [], rows: 0, ...change }
  const refused = flow.inTx((tx) => acceptProjectionUpdate(tx, update))
  await expect(refused).rejects.toSatisfy((error) => error instanceof ProblemError && error.code === code)
  expect((await flow.pool.query('select from dataset_updates')).rowCount).toBe(1)
})

test('an update without days causes no run', async () => {
  await flow.save({ pieces: ['production'] })
  await flow.update('production', { days: [] })
  expect(await flow.runs('pieces')).toEqual([])
})

test('a metric of two datasets reports that it waits for the other one and until when, and is requested when that is updated', async () => {
  await flow.save({ both: ['production', 'orders'] })
  await flow.update('production')
  const run = await flow.open('both')
  expect(run).toMatchObject({ status: 'PENDING', attempt: 0, expires_at: new Date(after(7 * 24)) })
  expect(await flow.waitsFor(run.id)).toEqual(['orders'])
  await flow.update('orders', { at: after(7 * 24), days: day('2026-03-08') })
  expect(await flow.waitsFor(run.id)).toEqual([])
  expect(await flow.open('both')).toMatchObject({ id: run.id, status: 'REQUESTED', days: BOTH_DAYS })
  expect((await flow.request(run.id)).inputs.map(({ dataset }) => dataset).sort()).toEqual([
    'orders',
    'production',
  ])
  expect(await flow.events(run.id)).toEqual(['metric_run.pending', 'aduana.metric_run.requested'])
})

async function load(dataset: string): Promise<string> {
  const written = await flow.pool.query<{ id: string }>(
    `insert into dataset_updates (dataset_id, event_key, occurred_at, days, rows)
     select id, 'loaded', $2, '{[2026-03-08,2026-03-09)}', 1 from datasets where code = $1 returning id`,
    [dataset, NOON],
  )
  return written.rows[0]?.id ?? ''
}

test('a dataset counts as updated when its update is fanned out, not when it is loaded', async () => {
  await flow.save({ both: ['production', 'orders'] })
  const loaded = await load('orders')
  await flow.update('production')
  const run = await flow.open('both')
  expect(run).toMatchObject({ status: 'PENDING', days: MARCH_9 })
  await flow.inTx((tx) => fanOutUpdate(tx, loaded))
  expect(await flow.open('both')).toMatchObject({ id: run.id, status: 'REQUESTED', days: BOTH_DAYS })
})

test('an update that is fanned out during a computation is an input of the next run', async () => {
  await flow.save({ both: ['production', 'orders'] })
  await flow.update('orders', { key: 'first' })
  await flow.update('production')
  const loaded = await load('orders')
  await flow.update('production')
  const run = await flow.open('both')
  await flow.begin(run.id)
  await flow.inTx((tx) => fanOutUpdate(tx, loaded))
  await flow.finish(run.id)
  const next = await flow.open('both')
  expect(next).toMatchObject({ days: '{[2026-03-08,2026-03-09)}' })
  expect((await flow.request(next.id)).inputs).toMatchObject([{ updateId: loaded, eventKey: 'loaded' }])
})

test.each([
  ['just inside', -7 * 24, 'REQUESTED'],
  ['just outside', -7 * 24 - 0.001, 'PENDING'],
])('an update of the other dataset %s of the required days decides', async (_, hours, status) => {
  await flow.update('orders', { at: after(hours) })
  await flow.save({ both: ['production', 'orders'] })
  await flow.update('production')
  expect(await flow.open('both')).toMatchObject({ status })
})

test('days required of one dataset hold for that one', async () => {
  const expression = { type: 'arithmetic', op: 'add', of: [] } as const
  const of = ['production', 'orders', 'dkt'].map((dataset) => ({
    type: 'aggregate' as const,
    op: 'count' as const,
    series: `${dataset}.all`,
  }))
  await flow.save({
    three: { expression: { ...expression, of }, requiredDays: 2, requiredDaysOf: { dkt: 30 } },
  })
  await flow.update('orders', { at: after(-3 * 24), days: [] })
  await flow.update('dkt', { at: after(-20 * 24), days: [] })
  await flow.update('production')
  expect(await flow.waitsFor((await flow.open('three')).id)).toEqual(['orders'])
})

test('a run whose dataset is not updated in time expires, and the next run of the metric includes its days', async () => {
  await flow.save({ both: ['production', 'orders'] })
  await flow.update('production', { companies: ['ACME'] })
  const { id } = await flow.open('both')
  expect(await flow.inTx((tx) => expirePendingRuns(tx, new Date(after(7 * 24 - 1))))).toEqual([])
  expect(await flow.inTx((tx) => expirePendingRuns(tx, new Date(after(7 * 24))))).toEqual([id])
  const [expired] = await flow.runs('both')
  expect(expired).toMatchObject({ status: 'EXPIRED', error: { code: 'expired', waitedFor: ['orders'] } })
  expect(await flow.events(id)).toEqual(['metric_run.pending', 'metric_run.expired'])
  await flow.update('orders', { at: after(8 * 24), days: day('2026-03-08'), companies: ['BETA'] })
  const next = await flow.open('both')
  expect(next).toMatchObject({ status: 'PENDING', days: BOTH_DAYS, companies: ['ACME', 'BETA'] })
  expect((await flow.runs('both'))[0]?.taken_over_by).toBe(next.id)
  await flow.update('production', { at: after(8 * 24), days: [] })
  expect(await flow.open('both')).toMatchObject({ id: next.id, status: 'REQUESTED' })
})

test('an expired run is taken over once: the next run takes over only runs that have expired since', async () => {
  await flow.save({ both: ['production', 'orders'] })
  const expire = async (hours: number, changed: string) => {
    await flow.update('production', { at: after(hours), days: day(changed) })
    const { id } = await flow.open('both')
    await flow.inTx((tx) => expirePendingRuns(tx, new Date(after(hours + 7 * 24))))
    return id
  }
  const first = await expire(0, '2026-03-01')
  const second = await expire(8 * 24, '2026-03-02')
  await flow.update('orders', { at: after(16 * 24), days: day('2026-03-03') })
  const third = await flow.open('both')
  const takers = (await flow.runs('both')).map(({ id, taken_over_by: by }) => [id, by])
  expect(takers).toEqual([
    [first, second],
    [second, third.id],
    [third.id, null],
  ])
})

test('updates that arrive before the runner starts are in one run', async () => {
  await flow.save({ pieces: ['production'] })
  await flow.update('production', { companies: ['ACME'] })
  await flow.update('production', { days: day('2026-03-08'), companies: ['BETA'], at: after(30) })
  expect(await flow.open('pieces')).toMatchObject({
    days: BOTH_DAYS,
    companies: ['ACME', 'BETA'],
    attempt: 1,
  })
  expect((await flow.request((await flow.open('pieces')).id)).inputs).toHaveLength(2)
})

test('an update of all companies extends its run to all companies', async () => {
  await flow.save({ pieces: ['production'] })
  await flow.update('production', { companies: ['ACME'] })
  await flow.update('production')
  expect(await flow.open('pieces')).toMatchObject({ companies: null })
})

test.each(['finish', 'fail', 'cancel'])(
  'updates during a computation are for the next run, also if the run must %s',
  async (how) => {
    await flow.save({ pieces: ['production'] })
    await flow.update('production')
    const { id } = await flow.open('pieces')
    await flow.begin(id)
    await flow.update('production', { days: day('2026-03-08'), companies: ['BETA'] })
    expect(await flow.open('pieces')).toMatchObject({
      id,
      days: MARCH_9,
      next_days: '{[2026-03-08,2026-03-09)}',
    })
    expect((await flow.request(id)).inputs).toHaveLength(1)
    if (how === 'finish') await flow.finish(id)
    if (how === 'fail') await flow.finish(id, { status: 'failed', error: { code: 'x', detail: 'y' } })
    if (how === 'cancel') await flow.inTx((tx) => cancelRun(tx, id, null))
    const next = await flow.open('pieces')
    expect(next).toMatchObject({
      status: 'REQUESTED',
      days: '{[2026-03-08,2026-03-09)}',
      companies: ['BETA'],
    })
    expect((await flow.request(next.id)).inputs).toHaveLength(1)
    expect(await flow.runs('pieces')).toHaveLength(2)
  },
)

test('a metric has one running run at a time, whatever the day of the update', async () => {
  await flow.save({ pieces: ['production'] })
  await flow.update('production')
  const { id } = await flow.open('pieces')
  await flow.begin(id)
  await flow.update('production', { at: after(24) })
  const [, second] = await flow.runs('pieces')
  expect(second).toMatchObject({ status: 'PENDING', as_of: '2026-03-11' })
  await flow.finish(id)
  expect(await flow.open('pieces')).toMatchObject({ id: second?.id, status: 'REQUESTED' })
})

test('a request to an external runner is not changed once it is sent', async () => {
  await flow.save({
    pieces: { runner: 'external', expression: { type: 'aggregate', op: 'count', series: 'production.all' } },
  })
  await flow.update('production')
  await flow.update('production', { days: day('2026-03-08') })
  expect(await flow.open('pieces')).toMatchObject({
    status: 'REQUESTED',
    days: MARCH_9,
    next_days: '{[2026-03-08,2026-03-09)}',
  })
})

test('two datasets that are updated at the same time do not wait for each other', async () => {
  for (let round = 0; round < 10; round++) {
    const code = `both${round}`
    await flow.save({ [code]: ['production', 'orders'] })
    const at = after(24 * 400 * (round + 1) - 24 * 5000)
    await Promise.all([
      flow.update('production', { at }),
      flow.update('orders', { at: new Date(Date.parse(at) + 36 * 3_600_000).toISOString() }),
    ])
    const runs = await flow.runs(code)
    expect(runs.map(({ status }) => status)).toContain('REQUESTED')
    await flow.work()
    expect((await flow.runs(code)).every(({ status }) => status === 'SUCCEEDED')).toBe(true)
  }
})

test('the clock of the sender of an update may be five minutes ahead', async () => {
  const now = new Date()
  const accept = (seconds: number) =>
    flow.inTx((tx) => {
      const occurredAt = new Date(now.getTime() + seconds * 1000).toISOString()
      const update = { eventKey: `at ${seconds}`, dataset: 'production', occurredAt, days: [], rows: 0 }
      return acceptProjectionUpdate(tx, update, now)
    })
  expect(await accept(300)).toMatchObject({ fresh: true })
  await expect(accept(301)).rejects.toMatchObject({ code: 'impossible_timestamp' })
})

test.each([
  ['at the end', 7 * 24, []],
  ['after the end', 7 * 24 + 0.001, ['orders']],
])(
  'an update of a dataset %s of the required days: is a pending run still waiting for it',
  async (_, hours, waits) => {
    await flow.save({ both: ['production', 'orders'] })
    await flow.update('production')
    const { id } = await flow.open('both')
    await flow.update('orders', { at: after(hours), days: [] })
    expect(await flow.waitsFor(id)).toEqual(waits)
  },
)
