import { setTimeout as delay } from 'node:timers/promises'
import { startApi } from '@aduana/testkit/api'
import { createTestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import pg from 'pg'
import { describe, test } from 'vitest'
import { acceptMonths, stageDone } from '../testing/fill.ts'
import { LONG, noteSeconds } from '../testing/measure.ts'
import { monthFile } from '../testing/month-files.ts'
import { type OwnServer, ownPostgres } from '../testing/own-servers.ts'
import { expectAllLoaded } from '../testing/settled.ts'

describe.concurrent('imports are loaded once, none is lost, and nothing is left over', {
  timeout: 300_000,
}, () => {
  test('when every backend is terminated every 2 seconds', async () => {
    const system = await createTestSystem()
    try {
      await system.startWorker()
      const files = await acceptMonths(system, 8, { rows: 3000 })
      const rounds = LONG ? 30 : 5
      for (let round = 0; round < rounds; round += 1) {
        await delay(2000)
        await system.database.pool.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and application_name like 'aduana%'`,
        )
      }
      const over = performance.now()
      const more = await acceptMonths(system, 1, { from: 8 })
      await expectAllLoaded(system, [...files, ...more])
      await noteSeconds('backends terminated: from the last time until all imports are final', over)
    } finally {
      await system.close()
    }
  })

  test.for([
    ['restarted', 'SIGINT', 0],
    ['restarted at once, without a shutdown', 'SIGQUIT', 0],
    ['down for 12 seconds', 'SIGINT', 12],
  ] as const)('when PostgreSQL is %s', async ([what, signal, seconds], { expect }) => {
    const server = await ownPostgres()
    const system = await createTestSystem({ databaseServer: server.url })
    const api = await startApi(system)
    try {
      await system.startWorker()
      const files = await acceptMonths(system, 4)
      await until(() => stageDone(system), { within: 60_000, what: 'a stage is done' })
      await server.stop(signal)
      const refused = await api.upload(monthFile(4, 'f').content, { dataset: 'production' })
      expect(refused.status).toBe(503)
      await delay(seconds * 1000)
      await server.start()
      const over = performance.now()
      const file = monthFile(4, 'f')
      const accepted = await api.upload(file.content, { dataset: 'production' })
      expect(accepted.status).toBe(202)
      await expectAllLoaded(system, [...files, file])
      await noteSeconds(`PostgreSQL ${what}: from its end until all imports are final`, over)
    } finally {
      await api.process.stop()
      await system.close()
      await server.close()
    }
  })

  test('when all connection slots are in use for a while', async () => {
    const server = await ownPostgres({ max_connections: '30' })
    const system = await createTestSystem({ databaseServer: server.url })
    try {
      await system.startWorker()
      const files = await acceptMonths(system, 4)
      await until(() => stageDone(system), { within: 60_000, what: 'a stage is done' })
      const holders = await takeEverySlot(server)
      // The connections of the worker are terminated, and their slots are taken too.
      await system.database.pool.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'aduana%'`,
      )
      holders.push(...(await takeEverySlot(server)))
      await until(() => system.processes()[0]?.lines.some((line) => line.includes('too many clients')), {
        within: 60_000,
        what: 'the worker is refused a connection',
      })
      await delay(5000)
      await Promise.all(holders.map((holder) => holder.end()))
      const over = performance.now()
      await expectAllLoaded(system, files)
      await noteSeconds('connection slots taken: from their return until all imports are final', over)
    } finally {
      await system.close()
      await server.close()
    }
  })
})

/** Connects until PostgreSQL has no slot left. */
async function takeEverySlot(server: OwnServer): Promise<pg.Client[]> {
  const holders: pg.Client[] = []
  for (;;) {
    const holder = new pg.Client({ connectionString: server.url })
    holder.on('error', () => undefined)
    try {
      await holder.connect()
      holders.push(holder)
    } catch (error) {
      if (error instanceof pg.DatabaseError && error.code === '53300') return holders
      throw error
    }
  }
}
