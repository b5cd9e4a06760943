import { ENDED_RUNS, RUN_TRANSITIONS, RunStatus } from '@aduana/contracts/metrics/runs'
import { IllegalTransitionError } from '@aduana/contracts/transitions'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Flow, NOON, openFlow } from '../testing/flow.ts'
import { changeRuns, OvertakenRunError, tryChangeRuns } from './transitions.ts'

let flow: Flow
let metricId: string
let days = 0
beforeAll(async () => {
  flow = await openFlow()
  await flow.save({ pieces: ['production'] })
  metricId = (await flow.pool.query(`select id from metrics where code = 'pieces'`)).rows[0]?.id
})
afterAll(() => flow.drop())

/** What a run needs beside its state. */
const at = (status: RunStatus) => ({
  status,
  completed_at: ENDED_RUNS.includes(status) ? NOON : null,
  error: status === 'FAILED' ? '{"code":"x"}' : null,
  requested_at: NOON,
  expires_at: NOON,
})

async function addRun(status: RunStatus): Promise<string> {
  days += 1
  const row = { ...at(status), metric_id: metricId, metric_version: 1, occurred_at: NOON, attempt: 2 }
  const asOf = new Date(NOON.getTime() + days * 86_400_000).toISOString().slice(0, 10)
  const values = { ...row, as_of: asOf, cause: 'update', days: '{}' }
  const inserted = await flow.db
    .insertInto('metric_runs')
    .values(values)
    .returning('id')
    .executeTakeFirstOrThrow()
  return inserted.id
}

async function runOf(id: string) {
  return (await flow.pool.query('select * from metric_runs where id = $1', [id])).rows[0]
}

const PAIRS = RunStatus.options.flatMap((from) => RunStatus.options.map((to) => [from, to] as const))

test.each(PAIRS)('a run changes from %s to %s only if the transition is allowed', async (from, to) => {
  const id = await addRun(from)
  const changing = flow.inTx((tx) => changeRuns(tx, [{ id }], [from], at(to)))
  if (from === to || RUN_TRANSITIONS[from].includes(to)) {
    expect(await changing).toMatchObject([{ id, attempt: 2 }])
    expect(await runOf(id)).toMatchObject({ status: to, version: '1' })
  } else {
    await expect(changing).rejects.toThrow(IllegalTransitionError)
    expect(await runOf(id)).toMatchObject({ status: from, version: '0' })
  }
})

test.each([
  ['another state', { attempt: 2 }, ['PENDING'] as const],
  ['another attempt', { attempt: 1 }, ['RUNNING'] as const],
  ['a later attempt', { attempt: 3 }, ['RUNNING'] as const],
])('a change that expects %s changes nothing and reports that', async (_, own, from) => {
  const id = await addRun('RUNNING')
  const runs = [{ id, ...own }]
  const change = { message: 'late' }
  expect(await flow.inTx((tx) => tryChangeRuns(tx, runs, from, change))).toEqual([])
  await expect(flow.inTx((tx) => changeRuns(tx, runs, from, change))).rejects.toThrow(OvertakenRunError)
  expect(await runOf(id)).toMatchObject({ message: '', version: '0', status: 'RUNNING' })
})

test('of many concurrent endings of a run, one succeeds', async () => {
  const id = await addRun('RUNNING')
  const ends = (['SUCCEEDED', 'FAILED', 'CANCELLED'] as const).flatMap((status) =>
    Array.from({ length: 3 }, () => flow.inTx((tx) => tryChangeRuns(tx, [{ id }], ['RUNNING'], at(status)))),
  )
  expect((await Promise.all(ends)).flat()).toHaveLength(1)
})

test('many runs are changed in one statement, except those in another state', async () => {
  const ids = [await addRun('RUNNING'), await addRun('RUNNING'), await addRun('CANCELLED')]
  const runs = ids.map((id) => ({ id }))
  const changed = await flow.inTx((tx) => tryChangeRuns(tx, runs, ['RUNNING'], { message: 'on' }))
  expect(changed.map(({ id }) => id).sort()).toEqual(ids.slice(0, 2).sort())
})

test('a change of many runs changes none if one is in another state', async () => {
  const ids = [await addRun('RUNNING'), await addRun('CANCELLED')]
  const runs = ids.map((id) => ({ id }))
  const changing = flow.inTx((tx) => changeRuns(tx, runs, ['RUNNING'], { message: 'on' }))
  await expect(changing).rejects.toThrow(ids[1])
  for (const id of ids) expect(await runOf(id)).toMatchObject({ message: '', version: '0' })
})
