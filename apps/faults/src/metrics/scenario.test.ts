import { Metric } from '@aduana/contracts/metrics/http'
import { startApi, type TestApi } from '@aduana/testkit/api'
import type { ProductProcess } from '@aduana/testkit/processes'
import { createRandom, type Random } from '@aduana/testkit/random'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { expect, test } from 'vitest'
import {
  changesReportedLate,
  DATASETS,
  type Dataset,
  externalChange,
  scenarioFiles,
} from '../testing/metrics/changes.ts'
import { lostOrDuplicateRuns, wrongMissingInputs } from '../testing/metrics/run-checks.ts'
import { createScenarioClient, type ScenarioClient } from '../testing/metrics/scenario-client.ts'
import { SCENARIO_METRICS } from '../testing/metrics/scenario-metrics.ts'
import { type MetricOracle, openMetricOracle } from './oracle.ts'

/** `ADUANA_SCENARIO_SEEDS` sets other seeds. */
const SEEDS = (process.env.ADUANA_SCENARIO_SEEDS ?? '1').split(',').map(Number)
const WITHIN = 120_000
const HOUR_MS = 3_600_000
const WEEKS_AGO_MS = 62 * 24 * HOUR_MS

const IN_A_COMPUTATION = ['metrics.after-claim', 'metrics.before-commit', 'metrics.after-commit']

test.each(SEEDS)(
  'forty metrics over three datasets equal plain SQL after updates in any order, twice and late, with a killed and a frozen runner (seed %i)',
  async (seed) => {
    const random = createRandom(seed)
    const system = await createTestSystem({ metrics: true })
    const [api, worker] = await Promise.all([startApi(system), system.startWorker()])
    const oracle = await openMetricOracle(system, ['shipped', 'scenario'])
    try {
      expect(SCENARIO_METRICS).toHaveLength(40)
      const world: World = {
        random,
        system,
        api,
        oracle,
        client: createScenarioClient(system, api, oracle, random),
      }
      await world.client.declareMetrics()
      const files = scenarioFiles(random)
      const missing = random.pick(DATASETS)
      await runWithOneDatasetMissing(
        world,
        missing,
        files.filter(({ dataset }) => dataset !== missing),
      )
      await runWithKilledAndFrozenRunners(
        world,
        worker,
        files.filter(({ dataset }) => dataset === missing),
      )
      await expireUnmatchedChange(world)
      await retryExpiredRuns(world)
      expect(await oracle.differences()).toEqual([])
      expect([...world.client.acceptedCounts().values()].filter((times) => times !== 1)).toEqual([])
      expect(await lostOrDuplicateRuns(system.database.pool)).toEqual([])
      for (const { definition } of SCENARIO_METRICS)
        expect((await readMetric(api, definition.code)).completeness).toEqual({
          complete: true,
          outstanding: [],
          notPassedOn: [],
        })
    } finally {
      await oracle.close()
      await api.process.stop()
      await system.close()
    }
  },
  300_000,
)

interface World {
  random: Random
  system: TestSystem
  api: TestApi
  oracle: MetricOracle
  client: ScenarioClient
}

/** The pending metrics by missing dataset: those with a dependency that can be computed and another that cannot. */
const PENDING: Record<Dataset, string[]> = {
  production: ['works.pieces_per_hour', 'works.pieces_per_item'],
  orders: ['works.alarm', 'works.index', 'works.pieces_per_item'],
  dkt: ['works.index', 'works.pieces_per_hour'],
}

/** Metrics that need the missing dataset are pending and name it. All others are computed. */
async function runWithOneDatasetMissing(
  { random, system, api, oracle, client }: World,
  missing: Dataset,
  files: ReturnType<typeof scenarioFiles>,
): Promise<void> {
  const now = new Date()
  const others = DATASETS.filter((dataset) => dataset !== missing)
  const reports = others.map((dataset) => externalChange(random, dataset, `today-${dataset}`, now))
  await client.send([...files, ...reports])
  await client.settled()
  expect(await wrongMissingInputs(system.database.pool)).toEqual([])
  const waiting = await system.database.pool.query(
    `select distinct m.code from metric_runs r join metrics m on m.id = r.metric_id where r.status = 'PENDING' order by 1`,
  )
  expect(waiting.rows.map(({ code }) => code)).toEqual(PENDING[missing])
  for (const code of PENDING[missing]) {
    const { complete, outstanding } = (await readMetric(api, code)).completeness
    expect(complete).toBe(false)
    expect(
      outstanding.map(({ status, waitsFor }) => [status, waitsFor.map(({ dataset }) => dataset)]),
    ).toEqual(outstanding.map(() => ['PENDING', [missing]]))
  }
  const stale = (await oracle.differences()).map(({ metric }) => metric)
  const needing = SCENARIO_METRICS.filter(({ over }) => over.includes(missing)).map(
    ({ definition }) => definition.code,
  )
  expect(stale.filter((metric) => !needing.includes(metric))).toEqual([])
}

/** Sends the other files and late reports while one runner is killed and one is frozen in a computation. */
async function runWithKilledAndFrozenRunners(
  { random, system, oracle, client }: World,
  worker: ProductProcess,
  files: ReturnType<typeof scenarioFiles>,
): Promise<void> {
  const failing = (action: string) => ({ ADUANA_FAIL_POINTS: `${random.pick(IN_A_COMPUTATION)}=${action}` })
  const [victim, frozen] = await Promise.all([
    system.startWorker(failing('kill')),
    system.startWorker(failing('stop')),
  ])
  await worker.stop()
  const changes = [...files, ...changesReportedLate(random, 'late')].sort(() => random.next() - 0.5)
  const half = Math.ceil(changes.length / 2)
  await client.send(changes.slice(0, half))
  expect(await victim.exited).toMatchObject({ signal: 'SIGKILL' })
  await frozen.untilFrozen(WITHIN)
  expect(await oracle.unreported()).toEqual([])
  if (random.chance(0.5)) await system.redis.wipe()
  await Promise.all([system.startWorker(), system.startWorker()])
  await client.send(changes.slice(half))
  frozen.signal('SIGCONT')
  await client.settled()
  expect(await oracle.unreported()).toEqual([])
  expect(await wrongMissingInputs(system.database.pool)).toEqual([])
}

/** Sends a change of weeks ago without changes of other datasets: runs that need both expire, until the other one is reported. */
async function expireUnmatchedChange({ random, system, api, oracle, client }: World): Promise<void> {
  const { pool } = system.database
  const happened = Date.now() - WEEKS_AGO_MS
  await client.send([externalChange(random, 'production', 'unmatched', new Date(happened))])
  await client.settled()
  expect(await missingInputsOfExpiredRuns(pool)).toMatchObject({
    'works.pieces_per_hour': ['dkt'],
    'works.pieces_per_item': ['orders'],
  })
  const { outstanding } = (await readMetric(api, 'works.pieces_per_item')).completeness
  expect(outstanding).toMatchObject([
    {
      status: 'EXPIRED',
      waitsFor: [{ dataset: 'orders' }],
      error: { code: 'expired', waitedFor: ['orders'] },
    },
  ])
  expect(await oracle.unreported()).toEqual([])
  await client.send([externalChange(random, 'dkt', 'matching', new Date(happened + 12 * HOUR_MS))])
  await client.settled()
  const left = await missingInputsOfExpiredRuns(pool)
  expect(left).not.toHaveProperty('works.pieces_per_hour')
  expect(left).toMatchObject({ 'works.pieces_per_item': ['orders'] })
  expect(await wrongMissingInputs(pool)).toEqual([])
  expect(await oracle.unreported()).toEqual([])
}

/** Retries all expired runs with the existing data. */
async function retryExpiredRuns({ system, oracle, client }: World): Promise<void> {
  for (;;) {
    const { rows } = await system.database.pool.query<{ id: string }>(
      `select id from metric_runs where status = 'EXPIRED' and taken_over_by is null order by created_at`,
    )
    if (rows.length === 0) return
    for (const { id } of rows) {
      const response = await client.post(`/api/runs/${id}/retry`)
      // A run that follows from another retry may have taken it over meanwhile.
      if (response.status === 409)
        expect(await response.json()).toMatchObject({ code: 'illegal_run_transition' })
      else expect(response.status).toBe(200)
    }
    await client.settled()
    expect(await oracle.unreported()).toEqual([])
  }
}

/** Returns the missing datasets of expired runs that no other run has taken over, by metric. */
async function missingInputsOfExpiredRuns(
  pool: TestSystem['database']['pool'],
): Promise<Record<string, string[]>> {
  const { rows } = await pool.query<{ code: string; missing: string[] }>(
    `select m.code, array(select distinct jsonb_array_elements_text(r.error -> 'waitedFor') order by 1) as missing
     from metric_runs r join metrics m on m.id = r.metric_id
     where r.status = 'EXPIRED' and r.taken_over_by is null`,
  )
  return Object.fromEntries(rows.map(({ code, missing }) => [code, missing]))
}

async function readMetric(api: TestApi, code: string): Promise<Metric> {
  return Metric.parse(await (await api.fetch(`/api/metrics/${code}`)).json())
}
