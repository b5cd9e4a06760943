import { createTestSystem } from '@aduana/testkit/system'
import { expect, test } from 'vitest'
import { HEADER } from './production-file.ts'

const file = (lots: string[]) =>
  [HEADER, ...lots.map((lot) => `2024-01-01;M001;W0001;1;PVC;${lot};1;1,5;`), ''].join('\n')

test('a corrected file replaces the first one, even if the worker that read the first one died', async () => {
  const system = await createTestSystem()
  try {
    const victim = await system.startWorker({ ADUANA_FAIL_POINTS: 'stage.before-work:parse=kill' })
    const first = await system.accept(file(['wrong', 'too many']), { dataset: 'production' })
    await victim.exited
    await system.startWorker()
    const second = await system.accept(file(['right']), { dataset: 'production' })
    expect((await system.finished(second, 60_000)).status).toBe('COMPLETED')
    expect((await system.finished(first)).status).toBe('COMPLETED')
    const rows = await system.database.pool.query('select lote from fact_production')
    expect(rows.rows).toEqual([{ lote: 'right' }])
  } finally {
    await system.close()
  }
})
