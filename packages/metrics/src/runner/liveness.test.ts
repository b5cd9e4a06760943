import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Flow, openFlow } from '../testing/flow.ts'
import { findDeadRunners, holdLivenessLock } from './liveness.ts'

let flow: Flow
beforeEach(async () => {
  flow = await openFlow()
  await flow.save({ pieces: ['production'] })
  await flow.update('production')
  await flow.begin((await flow.open('pieces')).id)
})
afterEach(() => flow.drop())

const dead = () => flow.inTx(async (tx) => (await findDeadRunners(tx)).map(({ runner }) => runner))
const silentFor = (seconds: number) =>
  flow.pool.query(`update metric_runs set last_heartbeat_at = clock_timestamp() - $1 * interval '1 second'`, [
    seconds,
  ])

test('a runner without heartbeats and without a computation is dead', async () => {
  await silentFor(8)
  expect(await dead()).toEqual([])
  await silentFor(10)
  expect(await dead()).toEqual(['test'])
})

test('a runner without heartbeats is alive until the transaction of its computation ends', async () => {
  await silentFor(3600)
  await flow.inTx(async (tx) => {
    await holdLivenessLock(tx, 'test')
    expect(await dead()).toEqual([])
  })
  expect(await dead()).toEqual(['test'])
})

test('an external runner is not recognized by its connections', async () => {
  await silentFor(3600)
  await flow.pool.query(`update metric_versions set definition = definition || '{"runner": "outside"}'`)
  expect(await dead()).toEqual([])
})
