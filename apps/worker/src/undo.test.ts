import { UndoRequest, UndoResult } from '@aduana/contracts/undo'
import { readJob } from '@aduana/jobs/read'
import { undoImport } from '@aduana/jobs/undo'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let system: TestSystem
beforeAll(async () => {
  system = await createTestSystem({ workers: 1 })
})
afterAll(() => system.close())

const HEADER = 'fecha,maquina,maquinista,turno,lote,cantidad,peso\n'

/** Production of some days: `rows` rows a day, whose quantities tell files apart. */
function production(days: readonly string[], rows: number, quantity: number): string {
  const lines = days.flatMap((day) =>
    Array.from(
      { length: rows },
      (_, index) => `${day},M00${(index % 9) + 1},W0001,1,L${index},${quantity},1.5`,
    ),
  )
  return `${HEADER}${lines.join('\n')}\n`
}

const table = async () =>
  (await system.database.pool.query('select * from fact_production order by id')).rows as unknown[]
const ledger = async () =>
  (await system.database.pool.query('select scope, day, job_id, rows from window_ledger order by 1, 2'))
    .rows as unknown[]

async function undo(id: string, unwind = false, as = system.admin) {
  const context = { db: system.database.db, maxQueued: 1000 }
  const { body } = await undoImport(context, as, id, UndoRequest.parse({ unwind }))
  return system.finished(body.id, 60_000)
}

describe('the undo of an import', () => {
  test('that replaced days brings back what they held, in the table and in the ledger', async () => {
    await system.import(production(['2024-01-01', '2024-01-02'], 5, 1), { dataset: 'production' })
    const before = { table: await table(), ledger: await ledger() }
    const second = await system.import(production(['2024-01-02', '2024-01-03'], 4, 2), {
      dataset: 'production',
    })
    expect(second.artifacts.map(({ name }) => name)).toContain('before-image.csv.gz')
    const job = await undo(second.id)
    expect(job).toMatchObject({ status: 'COMPLETED', progress: 100, parent: second.id, type: 'undo' })
    expect(UndoResult.parse(job.result).reversed).toMatchObject({ deleted: 8, restored: 5 })
    expect(await table()).toEqual(before.table)
    expect((await ledger()).slice(0, 2)).toEqual(before.ledger)
    expect((await ledger())[2]).toMatchObject({ rows: '0', job_id: second.id })
    const parent = await readJob(system.database.db, system.admin, second.id)
    expect(parent).toMatchObject({ batchDeleted: true, undoneBy: job.id })
  })
})
