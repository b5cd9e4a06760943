import { setTimeout as delay } from 'node:timers/promises'
import { startProxy } from '@aduana/testkit/proxy'
import { createTestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test } from 'vitest'
import { acceptMonths, stageDone } from '../testing/fill.ts'
import { LONG, noteSeconds } from '../testing/measure.ts'
import { ownRedis } from '../testing/own-servers.ts'
import { expectAllLoaded } from '../testing/settled.ts'

describe.concurrent('a network between worker and Redis', { timeout: 300_000 }, () => {
  test.for([
    ['that drops all packets for a while', 'all'],
    ['that drops the existing connections but carries new ones', 'existing'],
  ] as const)('%s loses no import', async ([, which]) => {
    const redis = await ownRedis({ keepsData: true })
    const proxy = await startProxy({ host: '127.0.0.1', port: redis.port })
    const system = await createTestSystem({ settings: { REDIS_URL: proxy.urlOf(redis.url) } })
    try {
      await system.startWorker()
      const before = await acceptMonths(system, 3)
      await until(() => stageDone(system), { within: 60_000, what: 'a stage is done' })
      proxy.pause(which)
      const from = performance.now()
      const during = await acceptMonths(system, 2, { from: 3 })
      if (which === 'all') {
        await delay(LONG ? 45_000 : 14_000)
        proxy.resume()
      }
      const over = performance.now()
      await expectAllLoaded(system, [...before, ...during])
      if (which === 'all') await noteSeconds('network to Redis silent: from its end until all is final', over)
      else await noteSeconds('connections to Redis silently dead: until all is final', from)
    } finally {
      await proxy.close()
      await system.close()
      await redis.close()
    }
  })
})
