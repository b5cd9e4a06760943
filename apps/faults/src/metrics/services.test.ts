import { setTimeout as delay } from 'node:timers/promises'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, expect, test } from 'vitest'
import { brokenGuarantees } from '../guarantees.ts'
import { DATASETS } from '../testing/metrics/changes.ts'
import { checkUntilSettled } from '../testing/metrics/check-until-settled.ts'
import { acceptFiles, declareMetrics } from '../testing/metrics/kill-scenarios.ts'
import { lostOrDuplicateRuns } from '../testing/metrics/run-checks.ts'
import { type OwnServer, ownPostgres, ownRedis } from '../testing/own-servers.ts'
import { type MetricOracle, openMetricOracle } from './oracle.ts'

const WITHIN = 120_000

/** Imports three files during a fault and checks their metrics. */
async function throughFault(
  system: TestSystem,
  settings: Record<string, string>,
  fault: (oracle: MetricOracle) => Promise<void>,
): Promise<void> {
  const oracle = await openMetricOracle(system, ['shipped', 'scenario'])
  try {
    await declareMetrics(system)
    await system.startWorker(settings)
    await acceptFiles(system, DATASETS)
    await fault(oracle)
    await checkUntilSettled(system, oracle)
    expect(await oracle.differences()).toEqual([])
    expect(await lostOrDuplicateRuns(system.database.pool)).toEqual([])
    expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
  } finally {
    await oracle.close()
    await system.close()
  }
}

/** Finds a computation that has written its values and is blocked before its commit. */
const IN_A_COMPUTATION = `select from pg_stat_activity where datname = current_database()
  and application_name = 'aduana worker' and state = 'idle in transaction' and state_change < now() - interval '1 second'`

describe.concurrent('every metric is correct or reported as incomplete', { timeout: 300_000 }, () => {
  test('while Redis repeatedly loses all its data', async () => {
    const system = await createTestSystem({ metrics: true })
    await throughFault(system, {}, async (oracle) => {
      for (let round = 0; round < 20; round += 1) {
        await system.redis.wipe()
        await delay(300)
        expect(await oracle.unreported()).toEqual([])
      }
    })
  })

  test('while Redis is down, and when it restarts empty', async () => {
    const redis = await ownRedis({ keepsData: false })
    try {
      const system = await createTestSystem({ metrics: true, settings: { REDIS_URL: redis.url } })
      await throughFault(system, {}, async (oracle) => {
        const requested = 'select from metric_runs limit 1'
        await until(async () => (await system.database.pool.query(requested)).rowCount === 1, {
          what: 'runs are requested',
          within: WITHIN,
        })
        await redis.stop('SIGKILL')
        await delay(5000)
        expect(await oracle.unreported()).toEqual([])
        await redis.start()
      })
    } finally {
      await redis.close()
    }
  })

  test.for([
    ['restarted', 'SIGINT'],
    ['killed and started again', 'SIGQUIT'],
  ] as const)('when PostgreSQL is %s during a computation', async ([, signal]) => {
    const server = await ownPostgres()
    try {
      const system = await createTestSystem({ databaseServer: server.url, metrics: true })
      const blocked = { ADUANA_FAIL_POINTS: 'metrics.before-commit=block-6000' }
      await throughFault(system, blocked, (oracle) => restart(server, signal, system, oracle))
    } finally {
      await server.close()
    }
  })

  test('while all connections to PostgreSQL are repeatedly terminated', async () => {
    const system = await createTestSystem({ metrics: true })
    await throughFault(system, {}, async (oracle) => {
      for (let round = 0; round < 8; round += 1) {
        await delay(1000)
        await system.database.pool.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and application_name like 'aduana%'`,
        )
        expect(await oracle.unreported()).toEqual([])
      }
    })
  })
})

async function restart(
  server: OwnServer,
  signal: NodeJS.Signals,
  system: TestSystem,
  oracle: MetricOracle,
): Promise<void> {
  await until(async () => (await system.database.pool.query(IN_A_COMPUTATION)).rowCount !== 0, {
    what: 'a computation is blocked',
    within: WITHIN,
  })
  await server.stop(signal)
  await server.start()
  expect(await oracle.unreported()).toEqual([])
}
