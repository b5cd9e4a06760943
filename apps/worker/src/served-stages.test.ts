import { createTestSystem } from '@aduana/testkit/system'
import { expect, test } from 'vitest'
import { productionFile } from './testing/metrics.ts'

test('workers that serve different stages complete an import together', async () => {
  const system = await createTestSystem()
  try {
    await Promise.all([
      system.startWorker({ ADUANA_STAGES: 'parse,quarantine,fan-out' }),
      system.startWorker({ ADUANA_STAGES: 'validate,load' }),
    ])
    const job = await system.import(productionFile(['2024-01-01', 5]), { dataset: 'production' })
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1 } })
    const { rows } = await system.database.pool.query(
      'select count(distinct worker)::int as workers from stage_results where job_id = $1',
      [job.id],
    )
    expect(rows).toEqual([{ workers: 2 }])
  } finally {
    await system.close()
  }
})
