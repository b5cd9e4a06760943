import { inTransaction } from '@aduana/db/database'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Flow, openFlow } from '../testing/flow.ts'
import { claimRuns, findLostRequest, findRequested } from './claim.ts'

let flow: Flow
let one: string
let other: string
beforeEach(async () => {
  flow = await openFlow()
  await flow.save({ one: ['production'], other: ['production'], apart: ['orders'] })
  await flow.update('production')
  await flow.update('orders')
  one = (await flow.open('one')).id
  other = (await flow.open('other')).id
})
afterEach(() => flow.drop())

const claim = async (runId: string) => (await claimRuns(flow.db, runId, 'test')).runs.map((run) => run.runId)

test('a run is claimed together with those of metrics that share a dataset, and with no others', async () => {
  expect((await claim(one)).sort()).toEqual([one, other].sort())
  expect(await claim(other)).toEqual([])
  expect(await flow.open('apart')).toMatchObject({ status: 'REQUESTED' })
})

test('a run that was tried before is not claimed together with new runs', async () => {
  await flow.pool.query('update metric_runs set attempt = 2 where id = $1', [other])
  expect(await claim(one)).toEqual([one])
  expect(await claim(other)).toEqual([other])
})

test('a run that another process has locked is skipped without waiting', async () => {
  const claimed = await inTransaction(flow.db, async (tx) => {
    await tx.selectFrom('metric_runs').select('id').where('id', '=', other).forNoKeyUpdate().execute()
    return claim(one)
  })
  expect(claimed).toEqual([one])
})

test('of many concurrent claims of the same runs one gets them', async () => {
  const claims = await Promise.all([one, other, one, other].map(claim))
  expect(claims.flat().sort()).toEqual([one, other].sort())
})

test('a request counts as forgotten when it has waited for some seconds', async () => {
  const asked = (seconds: number) =>
    flow.pool.query(`update metric_runs set requested_at = clock_timestamp() - $1 * interval '1 second'`, [
      seconds,
    ])
  await asked(1)
  expect(await findLostRequest(flow.db)).toBeUndefined()
  expect(await findRequested(flow.db)).toBeDefined()
  await asked(4)
  expect(await findLostRequest(flow.db)).toBeDefined()
  await claim(one)
  await claim((await flow.open('apart')).id)
  expect(await findLostRequest(flow.db)).toBeUndefined()
})

test('a run with an unreadable definition is returned separately, and is claimed all the same', async () => {
  await flow.pool.query(
    `update metric_versions set definition = '{"runner": "builtin"}' where metric_id = (select metric_id from metric_runs where id = $1)`,
    [other],
  )
  const { runs, unreadable } = await claimRuns(flow.db, one, 'test')
  expect(runs.map(({ runId }) => runId)).toEqual([one])
  expect(unreadable).toMatchObject([{ runId: other, attempt: 1 }])
})
