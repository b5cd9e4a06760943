import { startApi } from '@aduana/testkit/api'
import { createTestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test } from 'vitest'
import { noteSeconds } from '../testing/measure.ts'
import { monthFile } from '../testing/month-files.ts'
import { ownRedis } from '../testing/own-servers.ts'
import { sendCommands } from '../testing/redis-commands.ts'
import { allFinal, expectAllLoaded } from '../testing/settled.ts'

describe.concurrent('a Redis that is unfit for jobs', { timeout: 300_000 }, () => {
  test('that is full does not prevent uploads, which are loaded when there is room again', async ({
    expect,
  }) => {
    const redis = await ownRedis({ keepsData: true })
    const system = await createTestSystem({ settings: { REDIS_URL: redis.url } })
    const files = [0, 1, 2, 3].map((index) => monthFile(index, 'full'))
    const api = await startApi(system)
    try {
      await system.startWorker()
      await api.upload(files[0]?.content ?? '', { dataset: 'production' })
      await allFinal(system)
      await sendCommands(redis.url, 'CONFIG SET maxmemory 1mb')
      for (const file of files.slice(1)) {
        const response = await api.upload(file.content, { dataset: 'production' })
        expect(response.status).toBe(202)
      }
      await until(() => system.processes()[0]?.lines.some((line) => /OOM command not allowed/.test(line)), {
        within: 60_000,
        what: 'the worker logs that Redis is full',
      })
      const health = await api.fetch('/health')
      expect(health.status).toBe(200)
      await sendCommands(redis.url, 'CONFIG SET maxmemory 0')
      const room = performance.now()
      await expectAllLoaded(system, files)
      await noteSeconds('Redis full: from the moment there is room until all imports are final', room)
    } finally {
      await api.process.stop()
      await system.close()
      await redis.close()
    }
  })

  test('that could evict jobs is refused by the worker and reported by the health of the API', async ({
    expect,
  }) => {
    const redis = await ownRedis({ keepsData: false })
    await sendCommands(redis.url, 'CONFIG SET maxmemory-policy allkeys-lru')
    const system = await createTestSystem({ settings: { REDIS_URL: redis.url } })
    const api = await startApi(system)
    try {
      await expect(system.startWorker()).rejects.toThrow(/maxmemory-policy is "allkeys-lru"/)
      expect(await system.processes()[0]?.exited).toEqual({ code: 1, signal: null })
      const health = await api.fetch('/health')
      expect(health.status).toBe(200)
      expect(await health.json()).toMatchObject({
        status: 'degraded',
        checks: { redis: { ok: false, problem: expect.stringContaining('noeviction') } },
      })
    } finally {
      await api.process.stop()
      await system.close()
      await redis.close()
    }
  })
})
