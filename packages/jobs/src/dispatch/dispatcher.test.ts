import { STAGE_NAMES } from '@aduana/contracts/stages'
import { createFlows, type Flows } from '@aduana/queue/flow'
import { createTestRedis, type TestRedis } from '@aduana/testkit/redis'
import { until } from '@aduana/testkit/until'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type JobsDatabase, openJobsDatabase, silent } from '../testing/jobs.ts'
import { type Dispatcher, startDispatcher } from './dispatcher.ts'

let database: JobsDatabase
let redis: TestRedis
let flows: Flows
beforeAll(async () => {
  database = await openJobsDatabase()
  redis = createTestRedis()
  flows = createFlows({ redisUrl: redis.url, prefix: redis.prefix, logger: silent })
})
afterAll(async () => {
  await flows.close()
  await redis.close()
  await database.drop()
})

let dispatcher: Dispatcher | undefined
beforeEach(() => database.clear())
afterEach(async () => {
  await dispatcher?.stop()
  await redis.wipe()
})

function start(): void {
  dispatcher = startDispatcher({
    db: database.db,
    databaseUrl: database.url,
    flows,
    limits: { maxActive: 10, maxActivePerTenant: 10 },
    logger: silent,
  })
}

/** Adds a job whose stages are all done, so that its flow has no stage, which is refused before it reaches Redis. */
async function addUnsendable(): Promise<string> {
  const id = await database.addJob({ priority: 10 })
  await database.pool.query(
    `insert into stage_results (job_id, stage, attempt, try, state, worker, finished_at)
     select $1, unnest($2::text[]), 1, 1, 'done', 'w', now()`,
    [id, STAGE_NAMES],
  )
  return id
}

/** Waits until the flow of the job's current attempt is in Redis. */
const untilEnqueued = (jobId: string) =>
  until(
    async () => {
      const { attempt } = await database.job(jobId)
      if (typeof attempt !== 'number' || attempt === 0) return false
      const [state] = await flows.states({ jobId, attempt }, ['parse']).catch(() => [])
      return state === 'waiting'
    },
    { what: 'the flow is enqueued' },
  )

test('admitted jobs are enqueued', async () => {
  const id = await database.addJob()
  start()
  await untilEnqueued(id)
})

test('a flow that can never be sent does not delay those behind it', async () => {
  const unsendable = await addUnsendable()
  const first = await database.addJob()
  start()
  await untilEnqueued(first)
  expect(await database.job(unsendable)).toMatchObject({ status: 'PROCESSING' })
  // A later round, which still has that flow, sends those of new jobs.
  const second = await database.addJob()
  await untilEnqueued(second)
})

test('a job whose flow could not be sent is admitted again, with a flow that can', async () => {
  const id = await addUnsendable()
  start()
  await until(async () => (await database.job(id)).attempt === 1, { what: 'the job is admitted' })
  await database.pool.query('delete from stage_results where job_id = $1', [id])
  await untilEnqueued(id)
  expect(await database.job(id)).toMatchObject({ attempt: 2 })
})
