import { STAGE_NAMES } from '@aduana/contracts/stages'
import { createDeliveries } from '@aduana/testkit/deliveries'
import { createTestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect, test } from 'vitest'
import { brokenGuarantees } from './guarantees.ts'
import { sample } from './production-file.ts'
import { tags } from './testing/fault-scenarios.ts'

test('stages that are delivered twice, too early, too late and out of order load nothing twice', {
  timeout: 400_000,
}, async () => {
  const system = await createTestSystem()
  const deliveries = createDeliveries(system.redis)
  try {
    const first = await system.accept(sample('old'), { dataset: 'production' })
    const second = await system.accept(sample('new'), { dataset: 'production', priority: '-1' })
    const deliverAll = async () => {
      for (const jobId of [first, second])
        for (const attempt of [1, 2, 1])
          for (const stage of [...STAGE_NAMES].reverse()) await deliveries.deliver(stage, { jobId, attempt })
    }
    await deliverAll()
    await Promise.all([system.startWorker(), system.startWorker()])
    await deliverAll()
    for (const id of [first, second]) expect((await system.finished(id, 120_000)).status).toBe('COMPLETED')
    await deliverAll()
    await until(
      async () => {
        const pending = await Promise.all(STAGE_NAMES.map((stage) => deliveries.pending(stage)))
        return pending.every((count) => count === 0)
      },
      { what: 'every delivery is processed', within: 120_000 },
    )
    expect(['old 300', 'new 300']).toContain(await tags(system))
    expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
  } finally {
    await deliveries.close()
    await system.close()
  }
})
