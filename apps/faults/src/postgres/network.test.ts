import { setTimeout as delay } from 'node:timers/promises'
import { startApi } from '@aduana/testkit/api'
import { startProxy } from '@aduana/testkit/proxy'
import { createTestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test } from 'vitest'
import { acceptMonths, stageDone } from '../testing/fill.ts'
import { LONG, noteSeconds } from '../testing/measure.ts'
import { monthFile } from '../testing/month-files.ts'
import { expectAllLoaded } from '../testing/settled.ts'

describe.concurrent('a network between the processes and PostgreSQL', { timeout: 300_000 }, () => {
  test.for([
    ['that drops all packets for a while', 'all'],
    ['that drops the existing connections but carries new ones', 'existing'],
  ] as const)('%s loses no import', async ([what, which], { expect }) => {
    const system = await createTestSystem()
    const { hostname, port } = new URL(system.database.url)
    const proxy = await startProxy({ host: hostname, port: Number(port) })
    const settings = { DATABASE_URL: proxy.urlOf(system.database.url) }
    const api = await startApi(system, settings)
    try {
      await system.startWorker(settings)
      const files = await acceptMonths(system, 4, { rows: 2000 })
      await until(() => stageDone(system), { within: 60_000, what: 'a stage is done' })
      proxy.pause(which)
      const from = performance.now()
      if (which === 'all') {
        await delay(LONG ? 60_000 : 20_000)
        proxy.resume()
      }
      const file = monthFile(4, 'f')
      const accepted = await until(
        async () => {
          const response = await api.upload(file.content, { dataset: 'production' })
          return response.status === 503 ? undefined : response
        },
        { within: 90_000, what: 'the API accepts again' },
      )
      expect(accepted.status).toBe(202)
      const over = performance.now()
      await noteSeconds(`PostgreSQL, network ${what}: until the API accepts again`, from)
      await expectAllLoaded(system, [...files, file])
      await noteSeconds(
        `PostgreSQL, network ${what}: until all imports are final`,
        which === 'all' ? over : from,
      )
    } finally {
      await api.process.stop()
      await system.close()
      await proxy.close()
    }
  })
})
