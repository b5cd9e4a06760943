import { setTimeout as delay } from 'node:timers/promises'
import { startProduct } from '@aduana/testkit/processes'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test } from 'vitest'
import { acceptMonths, stageDone } from '../testing/fill.ts'
import { LONG, noteSeconds } from '../testing/measure.ts'
import { type OwnServer, ownRedis } from '../testing/own-servers.ts'
import { sendCommands } from '../testing/redis-commands.ts'
import { expectAllLoaded } from '../testing/settled.ts'

const KILL_EVERY_MS = 300

/** Runs a fault of Redis while imports are in progress and more are accepted. */
async function throughFault(
  what: string,
  keepsData: boolean,
  fault: (redis: OwnServer, system: TestSystem) => Promise<void>,
): Promise<void> {
  const redis = await ownRedis({ keepsData })
  const system = await createTestSystem({ settings: { REDIS_URL: redis.url } })
  try {
    await system.startWorker()
    const before = await acceptMonths(system, 4)
    await until(() => stageDone(system), { within: 60_000, what: 'a stage is done' })
    const faultEnd = fault(redis, system)
    const during = await acceptMonths(system, 2, { from: 4 })
    await faultEnd
    const over = performance.now()
    const after = await acceptMonths(system, 1, { from: 6 })
    await expectAllLoaded(system, [...before, ...during, ...after])
    await noteSeconds(`${what}: from its end until all imports are final`, over)
  } finally {
    await system.close()
    await redis.close()
  }
}

describe.concurrent('imports are loaded once, none is lost, and nothing is left over', {
  timeout: 300_000,
}, () => {
  test('when all connections to Redis are killed every 300 ms', async () => {
    await throughFault('connections to Redis killed', true, async (redis) => {
      const rounds = LONG ? 100 : 27
      for (let round = 0; round < rounds; round += 1) {
        await sendCommands(
          redis.url,
          'CLIENT KILL TYPE normal SKIPME yes',
          'CLIENT KILL TYPE pubsub SKIPME yes',
        )
        await delay(KILL_EVERY_MS)
      }
    })
  })

  test.for(LONG ? [3, 15, 45] : [3, 15])('when Redis is down for %s seconds', async (seconds) => {
    await throughFault(`Redis down ${seconds} s`, true, async (redis) => {
      await redis.stop()
      await delay(seconds * 1000)
      await redis.start()
    })
  })

  test('when Redis is killed and restarts empty', async () => {
    await throughFault('Redis restarted empty', false, async (redis) => {
      await redis.stop('SIGKILL')
      await redis.start()
    })
  })

  test('when Redis is frozen for longer than every lock and timeout', async () => {
    await throughFault('Redis frozen', true, async (redis) => {
      redis.signal('SIGSTOP')
      await delay(LONG ? 45_000 : 14_000)
      redis.signal('SIGCONT')
    })
  })
})

describe.concurrent('a worker that is stopped while Redis is down', { timeout: 300_000 }, () => {
  test.for([
    ['once it is ready', true],
    ['while it starts', false],
  ] as const)('%s exits without being killed', async ([, ready], { expect }) => {
    const redis = await ownRedis({ keepsData: true })
    const system = await createTestSystem({ settings: { REDIS_URL: redis.url } })
    try {
      if (!ready) await redis.stop()
      const worker = ready ? await system.startWorker() : startProduct('worker', system.environment)
      if (ready) await redis.stop()
      else await worker.untilLogged('redis.error', 120_000)
      worker.signal('SIGTERM')
      expect(await worker.exited).toEqual({ code: 0, signal: null })
    } finally {
      await system.close()
      await redis.close()
    }
  })
})
