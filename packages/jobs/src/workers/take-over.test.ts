import type { StageName, StagePayload } from '@aduana/contracts/stages'
import { inTransaction } from '@aduana/db/database'
import { createFlows, type Flows } from '@aduana/queue/flow'
import { type StageHandlers, startStageWorkers } from '@aduana/queue/stage-workers'
import { createLogger } from '@aduana/runtime/logger'
import { createTestRedis, type TestRedis } from '@aduana/testkit/redis'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { admit } from '../dispatch/dispatch.ts'
import { recordHeartbeat } from '../stage-attempts/heartbeat.ts'
import { beginStage, commitStage, type StageAttempt } from '../stage-attempts/stage-attempts.ts'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { takeLease } from '../windows/leases.ts'
import { takeOverWork } from './take-over.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
const LIMITS = { maxActive: 10, maxActivePerTenant: 10 }
const figures = {
  progress: 1,
  message: 'Working',
  totalItems: null,
  processedItems: null,
  rowsPerSecond: null,
  etaSeconds: null,
}

let database: JobsDatabase
let redis: TestRedis
let flows: Flows
beforeAll(async () => {
  database = await openJobsDatabase()
  redis = createTestRedis()
  flows = createFlows({ redisUrl: redis.url, prefix: redis.prefix, logger })
  const answers = () =>
    flows.waiting().then(
      () => true,
      () => false,
    )
  await until(answers, { what: 'Redis answers' })
})
afterAll(async () => {
  await flows.close()
  await redis.close()
  await database.drop()
})
beforeEach(async () => {
  await database.clear()
  await redis.wipe()
})

const takeOver = (worker = 'dead') => takeOverWork({ db: database.db, flows, logger }, worker)
const payload = (jobId: string, attempt = 1): StagePayload => ({ jobId, attempt })
async function admitted(): Promise<string> {
  const id = await database.addJob()
  for (const flow of await admit(database.db, LIMITS)) await flows.add(flow)
  return id
}
async function begin(
  jobId: string,
  worker: string,
  stage: StageName = 'parse',
  attempt = 1,
): Promise<StageAttempt> {
  const start = await beginStage(database.db, payload(jobId, attempt), stage, worker)
  if (start.kind !== 'begun') throw new Error(`${stage} did not begin: ${start.kind}`)
  return start.stageAttempt
}
async function stageAttemptsOf(jobId: string) {
  const { rows } = await database.pool.query(
    'select worker, state, lost_because from stage_results where job_id = $1 order by started_at, attempt',
    [jobId],
  )
  return rows
}

/** Runs `work` while a worker has taken the deliveries from BullMQ and does not process them. */
async function whileTaken(worker: string, jobId: string, work: () => Promise<void>): Promise<void> {
  const idle = (_: StagePayload, { signal }: { signal: AbortSignal }) =>
    new Promise<{ kind: 'stop'; reason: string }>((resolve) => {
      signal.addEventListener('abort', () => resolve({ kind: 'stop', reason: 'the test is over' }))
    })
  const handlers: StageHandlers = {
    parse: idle,
    validate: idle,
    quarantine: idle,
    load: idle,
    'fan-out': idle,
  }
  const workers = startStageWorkers({
    redisUrl: redis.url,
    prefix: redis.prefix,
    worker,
    logger,
    handlers,
    concurrency: { parse: 5 },
    onLost: async () => undefined,
  })
  try {
    await until(() => workers.consumption().some(({ inWork }) => inWork.includes(jobId)), {
      what: 'the delivery is taken',
    })
    await work()
  } finally {
    await workers.close()
  }
}

test('a stage of an ended worker begins again in another attempt, and the death is counted once', async () => {
  const id = await admitted()
  const former = await begin(id, 'dead')
  await takeOver()
  await takeOver()
  expect(await stageAttemptsOf(id)).toEqual([
    { worker: 'dead', state: 'lost', lost_because: 'session ended' },
  ])
  expect(await database.job(id)).toMatchObject({ admitted_at: null, lost_count: 1, attempt: 1 })
  const [flow] = await admit(database.db, LIMITS)
  expect(flow).toMatchObject({ jobId: id, attempt: 2 })
  const next = await begin(id, 'other', 'parse', 2)
  expect(await database.job(id)).toMatchObject({ lost_count: 1 })
  // Even if the former worker is still alive, none of its writes has an effect.
  expect(await recordHeartbeat(database.db, former, figures)).toEqual({ answer: 'overtaken' })
  const commitFormer = inTransaction(database.db, (tx) => commitStage(tx, former, {}))
  await expect(commitFormer).rejects.toMatchObject({ name: 'OvertakenError' })
  expect(await recordHeartbeat(database.db, next, figures)).toMatchObject({ answer: 'go' })
})

test('the work of other workers is not taken over', async () => {
  const id = await admitted()
  const own = await begin(id, 'other')
  await takeOver()
  expect(await database.job(id)).toMatchObject({ admitted_at: expect.any(Date), lost_count: 0 })
  expect(await recordHeartbeat(database.db, own, figures)).toMatchObject({ answer: 'go' })
})

test('a job that has killed two workers is left to the timeouts', async () => {
  const id = await admitted()
  await begin(id, 'dead')
  await database.pool.query('update jobs set lost_count = 2 where id = $1', [id])
  await takeOver()
  expect(await stageAttemptsOf(id)).toEqual([{ worker: 'dead', state: 'running', lost_because: null }])
  expect(await database.job(id)).toMatchObject({ admitted_at: expect.any(Date), lost_count: 2 })
})

test('a delivery that an ended worker has taken but not begun is repeated', async () => {
  const id = await admitted()
  await whileTaken('dead', id, async () => {
    await takeOver('another')
    expect(await database.job(id)).toMatchObject({ admitted_at: expect.any(Date), lost_count: 0 })
    await takeOver()
    await takeOver()
    expect(await database.job(id)).toMatchObject({ admitted_at: null, lost_count: 1 })
  })
})

test('a delivery that another worker has begun meanwhile, or of an earlier attempt, is not repeated', async () => {
  const id = await admitted()
  await whileTaken('dead', id, async () => {
    await begin(id, 'other')
    await takeOver()
    expect(await database.job(id)).toMatchObject({ admitted_at: expect.any(Date), lost_count: 0 })
    await database.pool.query(
      `update stage_results set state = 'done', finished_at = now() where job_id = $1`,
      [id],
    )
    await database.pool.query('update jobs set attempt = 2 where id = $1', [id])
    await takeOver()
    expect(await database.job(id)).toMatchObject({ admitted_at: expect.any(Date), lost_count: 0 })
  })
})

test('the stage attempts of an ended worker are taken over without Redis', async () => {
  const away = createFlows({ redisUrl: 'redis://127.0.0.1:1', prefix: redis.prefix, logger })
  try {
    const id = await admitted()
    await begin(id, 'dead')
    await takeOverWork({ db: database.db, flows: away, logger }, 'dead')
    expect(await database.job(id)).toMatchObject({ admitted_at: null, lost_count: 1 })
  } finally {
    await away.close()
  }
})

test('the lease of an ended worker expires at once, so that its successor does not wait', async () => {
  const id = await database.accept()
  for (const flow of await admit(database.db, LIMITS)) await flows.add(flow)
  await begin(id, 'dead')
  await database.pool.query(
    `insert into window_locks (job_id, dataset_id, scope, days) select $1, dataset_id, '', '[2024-01-01,2024-01-02)' from imports where job_id = $1`,
    [id],
  )
  expect(await takeLease(database.db, id, 'dead/1.1')).toMatchObject({ holder: 'dead/1.1' })
  expect(await takeLease(database.db, id, 'other/2.1')).toBeUndefined()
  await takeOver()
  expect(await takeLease(database.db, id, 'other/2.1')).toMatchObject({ holder: 'other/2.1' })
})
