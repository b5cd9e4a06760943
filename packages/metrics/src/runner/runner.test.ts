import { createLogger } from '@aduana/runtime/logger'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Flow, openFlow } from '../testing/flow.ts'
import { startRunner } from './runner.ts'

let flow: Flow
beforeAll(async () => {
  flow = await openFlow()
})
afterAll(() => flow.drop())

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
const never = new AbortController().signal

test('one job computes all runs and those that they make possible; the jobs of these find them done, without queries', async () => {
  await flow.save({ first: ['production'], second: ['production'], above: ['first'], top: ['above'] })
  await flow.pool.query(`
    create table fact_production_2026_03 partition of fact_production for values from ('2026-03-01') to ('2026-04-01');
    insert into dim_maquina (codigo) values ('M1');
    insert into dim_maquinista (codigo) values ('W1');
    insert into fact_production (id, fecha_contabilizacion, maquina_id, maquinista_id, turno, lote, cantidad, peso_neto)
      select 1, '2026-03-09', m.id, w.id, 1, 'L1', 2, 3 from dim_maquina m, dim_maquinista w`)
  await flow.update('production')
  const { db, pool } = flow
  const runner = startRunner({ db, pool, logger, runner: 'test', concurrency: 1 })
  const [first, second] = [await flow.open('first'), await flow.open('second')]
  expect(await runner.handle({ runId: first.id, attempt: 1 }, never)).toBe('SUCCEEDED')
  const [top] = await flow.runs('top')
  expect(top).toMatchObject({ status: 'SUCCEEDED', attempt: 1 })
  // The runner can make no query after it has stopped.
  await runner.stop()
  expect(await runner.handle({ runId: second.id, attempt: 1 }, never)).toBe('SUCCEEDED')
  expect(await runner.handle({ runId: top?.id ?? '', attempt: 1 }, never)).toBe('SUCCEEDED')
  await expect(runner.handle({ runId: second.id, attempt: 2 }, never)).rejects.toThrow(
    'the process is stopping',
  )
})
