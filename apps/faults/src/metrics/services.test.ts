import { setTimeout as delay } from 'node:timers/promises'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, expect, test } from 'vitest'
import { brokenGuarantees } from '../guarantees.ts'
import { lostOrDoubledRuns } from '../testing/metrics/accounts.ts'
import { followUntilSettled } from '../testing/metrics/follow.ts'
import { acceptFiles, declareMetrics } from '../testing/metrics/stories.ts'
import { DATASETS } from '../testing/metrics/world.ts'
import { type OwnServer, ownPostgres, ownRedis } from '../testing/own-servers.ts'
import { type Freshness, openFreshness } from './freshness.ts'

const WITHIN = 120_000

/** Three imports, whose metrics follow through a fault. */
async function throughFault(
  system: TestSystem,
  settings: Record<string, string>,
  fault: (freshness: Freshness) => Promise<void>,
): Promise<void> {
  const freshness = await openFreshness(system, ['shipped', 'scenario'])
  try {
    await declareMetrics(system)
    await system.startWorker(settings)
    await acceptFiles(system, DATASETS)
    await fault(freshness)
    await followUntilSettled(system, freshness)
    expect(await freshness.differences()).toEqual([])
    expect(await lostOrDoubledRuns(system.database.pool)).toEqual([])
    expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
  } finally {
    await freshness.close()
    await system.close()
  }
}

/** A computation has written its values, and stands still before it commits. */
const IN_A_COMPUTATION = `select from pg_stat_activity where datname = current_database()
  and application_name = 'aduana worker' and state = 'idle in transaction' and state_change < now() - interval '1 second'`

describe.concurrent('every metric has the values of the tables or says why not', { timeout: 300_000 }, () => {
  test('while Redis loses all its data again and again', async () => {
    const system = await createTestSystem({ metrics: true })
    await throughFault(system, {}, async (freshness) => {
      for (let round = 0; round < 20; round += 1) {
        await system.redis.wipe()
        await delay(300)
        expect(await freshness.unexplained()).toEqual([])
      }
    })
  })

  test('while Redis is away, and when it comes back empty', async () => {
    const redis = await ownRedis({ keepsData: false })
    try {
      const system = await createTestSystem({ metrics: true, settings: { REDIS_URL: redis.url } })
      await throughFault(system, {}, async (freshness) => {
        const asked = 'select from metric_runs limit 1'
        await until(async () => (await system.database.pool.query(asked)).rowCount === 1, {
          what: 'runs are asked for',
          within: WITHIN,
        })
        await redis.stop('SIGKILL')
        await delay(5000)
        expect(await freshness.unexplained()).toEqual([])
        await redis.start()
      })
    } finally {
      await redis.close()
    }
  })

  test.for([
    ['restarted', 'SIGINT'],
    ['killed and started again', 'SIGQUIT'],
  ] as const)('when PostgreSQL is %s in the middle of a computation', async ([, signal]) => {
    const server = await ownPostgres()
    try {
      const system = await createTestSystem({ databaseServer: server.url, metrics: true })
      const stands = { ADUANA_FAIL_POINTS: 'metrics.before-commit=block-6000' }
      await throughFault(system, stands, (freshness) => restart(server, signal, system, freshness))
    } finally {
      await server.close()
    }
  })

  test('while every connection to PostgreSQL is cut again and again', async () => {
    const system = await createTestSystem({ metrics: true })
    await throughFault(system, {}, async (freshness) => {
      for (let round = 0; round < 8; round += 1) {
        await delay(1000)
        await system.database.pool.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and application_name like 'aduana%'`,
        )
        expect(await freshness.unexplained()).toEqual([])
      }
    })
  })
})

async function restart(
  server: OwnServer,
  signal: NodeJS.Signals,
  system: TestSystem,
  freshness: Freshness,
): Promise<void> {
  await until(async () => (await system.database.pool.query(IN_A_COMPUTATION)).rowCount !== 0, {
    what: 'a computation stands still',
    within: WITHIN,
  })
  await server.stop(signal)
  await server.start()
  expect(await freshness.unexplained()).toEqual([])
}
