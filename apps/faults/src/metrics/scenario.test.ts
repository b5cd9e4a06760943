import { Metric } from '@aduana/contracts/metrics/http'
import { startApi, type TestApi } from '@aduana/testkit/api'
import type { ProductProcess } from '@aduana/testkit/processes'
import { createRandom, type Random } from '@aduana/testkit/random'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { expect, test } from 'vitest'
import { lostOrDoubledRuns, wrongAboutWhatIsLacking } from '../testing/metrics/accounts.ts'
import { openScenario, type Scenario } from '../testing/metrics/scenario.ts'
import { SCENARIO_METRICS } from '../testing/metrics/scenario-metrics.ts'
import {
  DATASETS,
  type Dataset,
  lateChanges,
  outsideChange,
  scenarioFiles,
} from '../testing/metrics/world.ts'
import { type Freshness, openFreshness } from './freshness.ts'

/** Other seeds are tried when the tests are asked for them. */
const SEEDS = (process.env.ADUANA_SCENARIO_SEEDS ?? '1').split(',').map(Number)
const WITHIN = 120_000
const HOUR_MS = 3_600_000
const WEEKS_AGO_MS = 62 * 24 * HOUR_MS

const IN_A_COMPUTATION = ['metrics.after-claim', 'metrics.before-commit', 'metrics.after-commit']

test.each(SEEDS)(
  'three datasets and forty metrics, told in any order, twice, late and with a dead and a frozen runner, are what plain SQL says (seed %i)',
  async (seed) => {
    const random = createRandom(seed)
    const system = await createTestSystem({ metrics: true })
    const [api, worker] = await Promise.all([startApi(system), system.startWorker()])
    const freshness = await openFreshness(system, ['shipped', 'scenario'])
    try {
      expect(SCENARIO_METRICS).toHaveLength(40)
      const world: World = {
        random,
        system,
        api,
        freshness,
        scenario: openScenario(system, api, freshness, random),
      }
      await world.scenario.declareMetrics()
      const files = scenarioFiles(random)
      const late = random.pick(DATASETS)
      await oneDatasetDoesNotCome(
        world,
        late,
        files.filter(({ dataset }) => dataset !== late),
      )
      await runnersDieAndFreeze(
        world,
        worker,
        files.filter(({ dataset }) => dataset === late),
      )
      await oneChangeStandsAlone(world)
      await retryWhatExpired(world)
      expect(await freshness.differences()).toEqual([])
      expect([...world.scenario.takenIn().values()].filter((times) => times !== 1)).toEqual([])
      expect(await lostOrDoubledRuns(system.database.pool)).toEqual([])
      for (const { definition } of SCENARIO_METRICS)
        expect((await readMetric(api, definition.code)).completeness).toEqual({
          complete: true,
          outstanding: [],
          notPassedOn: [],
        })
    } finally {
      await freshness.close()
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
  freshness: Freshness
  scenario: Scenario
}

/** What needs a metric that can be computed and another that cannot, by the dataset that is lacking. */
const MEETING: Record<Dataset, string[]> = {
  production: ['works.pieces_per_hour', 'works.pieces_per_item'],
  orders: ['works.alarm', 'works.index', 'works.pieces_per_item'],
  dkt: ['works.index', 'works.pieces_per_hour'],
}

/** What needs a dataset that has not come waits, and says for which; all else is computed. */
async function oneDatasetDoesNotCome(
  { random, system, api, freshness, scenario }: World,
  late: Dataset,
  files: ReturnType<typeof scenarioFiles>,
): Promise<void> {
  const now = new Date()
  const others = DATASETS.filter((dataset) => dataset !== late)
  const told = others.map((dataset) => outsideChange(random, dataset, `today-${dataset}`, now))
  await scenario.send([...files, ...told])
  await scenario.settled()
  expect(await wrongAboutWhatIsLacking(system.database.pool)).toEqual([])
  const waiting = await system.database.pool.query(
    `select distinct m.code from metric_runs r join metrics m on m.id = r.metric_id where r.status = 'PENDING' order by 1`,
  )
  expect(waiting.rows.map(({ code }) => code)).toEqual(MEETING[late])
  for (const code of MEETING[late]) {
    const { complete, outstanding } = (await readMetric(api, code)).completeness
    expect(complete).toBe(false)
    expect(
      outstanding.map(({ status, waitsFor }) => [status, waitsFor.map(({ dataset }) => dataset)]),
    ).toEqual(outstanding.map(() => ['PENDING', [late]]))
  }
  const stale = (await freshness.differences()).map(({ metric }) => metric)
  const needing = SCENARIO_METRICS.filter(({ over }) => over.includes(late)).map(
    ({ definition }) => definition.code,
  )
  expect(stale.filter((metric) => !needing.includes(metric))).toEqual([])
}

/** The rest comes, with changes that are told late, while one runner is killed and one stands still in a computation. */
async function runnersDieAndFreeze(
  { random, system, freshness, scenario }: World,
  worker: ProductProcess,
  files: ReturnType<typeof scenarioFiles>,
): Promise<void> {
  const failing = (action: string) => ({ ADUANA_FAIL_POINTS: `${random.pick(IN_A_COMPUTATION)}=${action}` })
  const [doomed, frozen] = await Promise.all([
    system.startWorker(failing('kill')),
    system.startWorker(failing('stop')),
  ])
  await worker.stop()
  const changes = [...files, ...lateChanges(random, 'late')].sort(() => random.next() - 0.5)
  const half = Math.ceil(changes.length / 2)
  await scenario.send(changes.slice(0, half))
  expect(await doomed.exited).toMatchObject({ signal: 'SIGKILL' })
  await frozen.untilFrozen(WITHIN)
  expect(await freshness.unexplained()).toEqual([])
  if (random.chance(0.5)) await system.redis.wipe()
  await Promise.all([system.startWorker(), system.startWorker()])
  await scenario.send(changes.slice(half))
  frozen.signal('SIGCONT')
  await scenario.settled()
  expect(await freshness.unexplained()).toEqual([])
  expect(await wrongAboutWhatIsLacking(system.database.pool)).toEqual([])
}

/** A change of weeks ago that no other dataset has one beside: what needs both expires, and goes on when one comes after all. */
async function oneChangeStandsAlone({ random, system, api, freshness, scenario }: World): Promise<void> {
  const { pool } = system.database
  const happened = Date.now() - WEEKS_AGO_MS
  await scenario.send([outsideChange(random, 'production', 'alone', new Date(happened))])
  await scenario.settled()
  expect(await leftUndone(pool)).toMatchObject({
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
  expect(await freshness.unexplained()).toEqual([])
  await scenario.send([outsideChange(random, 'dkt', 'after-all', new Date(happened + 12 * HOUR_MS))])
  await scenario.settled()
  const left = await leftUndone(pool)
  expect(left).not.toHaveProperty('works.pieces_per_hour')
  expect(left).toMatchObject({ 'works.pieces_per_item': ['orders'] })
  expect(await wrongAboutWhatIsLacking(pool)).toEqual([])
  expect(await freshness.unexplained()).toEqual([])
}

/** Somebody has everything computed that waited in vain, with what there is. */
async function retryWhatExpired({ system, freshness, scenario }: World): Promise<void> {
  for (;;) {
    const { rows } = await system.database.pool.query<{ id: string }>(
      `select id from metric_runs where status = 'EXPIRED' and taken_over_by is null order by created_at`,
    )
    if (rows.length === 0) return
    for (const { id } of rows) {
      const answer = await scenario.post(`/api/runs/${id}/retry`)
      // The run that follows from the retry of another may have taken it over by now.
      if (answer.status === 409) expect(await answer.json()).toMatchObject({ code: 'illegal_run_transition' })
      else expect(answer.status).toBe(200)
    }
    await scenario.settled()
    expect(await freshness.unexplained()).toEqual([])
  }
}

/** What the expired runs lack that nobody has taken over, by metric. */
async function leftUndone(pool: TestSystem['database']['pool']): Promise<Record<string, string[]>> {
  const { rows } = await pool.query<{ code: string; lacks: string[] }>(
    `select m.code, array(select distinct jsonb_array_elements_text(r.error -> 'waitedFor') order by 1) as lacks
     from metric_runs r join metrics m on m.id = r.metric_id
     where r.status = 'EXPIRED' and r.taken_over_by is null`,
  )
  return Object.fromEntries(rows.map(({ code, lacks }) => [code, lacks]))
}

async function readMetric(api: TestApi, code: string): Promise<Metric> {
  return Metric.parse(await (await api.fetch(`/api/metrics/${code}`)).json())
}
