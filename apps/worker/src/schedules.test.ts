import { SCHEDULE_QUEUE, SCHEDULES } from '@aduana/contracts/schedules'
import { pruneExpired } from '@aduana/jobs/retention/housekeeping'
import { createLogger } from '@aduana/runtime/logger'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let system: TestSystem
beforeAll(async () => {
  system = await createTestSystem()
})
afterAll(() => system.close())

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
const scheduled = () =>
  system.redis.redis.zrange(`${system.redis.prefix}:${SCHEDULE_QUEUE}:repeat`, '0', '-1')

describe('the schedules', () => {
  test('are registered once, however many workers start', async () => {
    await Promise.all([system.startWorker(), system.startWorker()])
    await until(async () => (await scheduled()).length >= SCHEDULES.length, {
      what: 'the schedules are registered',
    })
    expect((await scheduled()).sort()).toEqual(SCHEDULES.map(({ name }) => name).sort())
  })
})

describe('housekeeping', () => {
  test('removes expired tickets, and files and tables that no job refers to, and nothing else', async () => {
    const header =
      'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'
    const job = await system.import(`${header}\n2024-01-01;M001;W0001;1;PVC;A;1;1;\n`, {
      dataset: 'production',
    })
    const { rows } = await system.database.pool.query('select key from artifacts')
    const stray = 'jobs/00000000-0000-4000-8000-000000000000/accept/0/original'
    async function* bytes() {
      yield Buffer.from('never accepted')
    }
    await system.store.put(stray, bytes())
    await system.database.pool.query(
      `insert into ws_tickets (ticket_hash, user_id, expires_at, session_id, session_version, session_expires_at)
       select ticket, $1, now() + age, gen_random_uuid(), 1, now() + interval '1 hour'
       from (values ('old', interval '-1 minute'), ('new', interval '1 minute')) as t (ticket, age)`,
      [system.admin.userId],
    )
    await system.database.pool.query(
      `insert into ended_sessions
       select gen_random_uuid(), $1, now() + age from (values (interval '-1 minute'), (interval '1 minute')) as t (age)`,
      [system.admin.userId],
    )

    await system.database.pool.query('create table load_1_1_1_2024_01 (id bigint)')
    await system.database.pool.query('create table load_999999_1_1_2024_01 (id bigint)')

    expect(await pruneExpired(system.database.db, system.store, logger)).toEqual({
      tickets: 1,
      files: 0,
      tables: 1,
      windows: 0,
    })
    const later = new Date(Date.now() + 2 * 60 * 60_000)
    expect(await pruneExpired(system.database.db, system.store, logger, later)).toEqual({
      tickets: 0,
      files: 1,
      tables: 0,
      windows: 0,
    })

    const ended = await system.database.pool.query('select from ended_sessions')
    expect(ended.rowCount, 'sessions whose tokens would still be good otherwise').toBe(1)
    const left: string[] = []
    for await (const { key } of system.store.list('jobs')) left.push(key)
    expect(left.sort()).toEqual(rows.map(({ key }: { key: string }) => key).sort())
    expect(left.some((key) => key.includes(job.id))).toBe(true)
  })
})
