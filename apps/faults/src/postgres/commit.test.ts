import { startApi } from '@aduana/testkit/api'
import { type CommitFault, startProxy, type TcpProxy } from '@aduana/testkit/proxy'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { describe, test } from 'vitest'
import { monthFile } from '../testing/month-files.ts'
import { expectAllLoaded } from '../testing/settled.ts'

/** The statement of every transaction that ends a stage. */
const END_OF_STAGE = 'update "stage_results" set "state"'

/** The transactions of an import that must survive a COMMIT with an unknown result. */
const TRANSACTIONS: readonly string[][] = [
  ["hashtextextended('dispatch', 0)", 'update "jobs"'],
  [END_OF_STAGE, 'parse', '"output"'],
  [END_OF_STAGE, 'validate', '"output"'],
  [END_OF_STAGE, 'quarantine', '"output"'],
  ['"loaded_at" = clock_timestamp()'],
  [END_OF_STAGE, 'fan-out', '"output"'],
]

/** Runs `work` with an installation and a proxy of its PostgreSQL at `url`. */
async function behindProxy(
  work: (system: TestSystem, proxy: TcpProxy, url: string) => Promise<void>,
): Promise<void> {
  const system = await createTestSystem()
  const { hostname, port } = new URL(system.database.url)
  const proxy = await startProxy({ host: hostname, port: Number(port) })
  try {
    await work(system, proxy, proxy.urlOf(system.database.url))
  } finally {
    await system.close()
    await proxy.close()
  }
}

describe.concurrent('a connection that breaks at a COMMIT', { timeout: 300_000 }, () => {
  test.for(['reply lost', 'cut before'] as const)(
    'of the admission and of every stage (%s) loads nothing twice and loses nothing',
    (fault) =>
      behindProxy(async (system, proxy, url) => {
        const traps = TRANSACTIONS.map((marks) => proxy.atCommit(marks, fault))
        await system.startWorker({ DATABASE_URL: url })
        const file = monthFile(0, 'c')
        await system.accept(file.content, { dataset: 'production' })
        await Promise.all(traps.map(({ sprung }) => sprung))
        await expectAllLoaded(system, [file])
      }),
  )

  test.for<CommitFault>(['reply lost', 'cut before', 'late'])(
    'of an upload (%s) keeps the file if its job exists, and else allows it to be sent again',
    (fault, { expect }) =>
      behindProxy(async (system, proxy, url) => {
        const api = await startApi(system, { DATABASE_URL: url })
        try {
          const trap = proxy.atCommit(['insert into "imports"'], fault)
          const file = monthFile(0, 'a')
          const first = await api.upload(file.content, { dataset: 'production' })
          await trap.sprung
          trap.release()
          expect(first.status).toBe(fault === 'reply lost' ? 202 : 503)
          // After an error the client sends the file again. The response shows whether it was accepted before.
          const again = await api.upload(file.content, { dataset: 'production' })
          expect(again.status).toBe(fault === 'cut before' ? 202 : 409)
          await system.startWorker()
          await expectAllLoaded(system, [file])
        } finally {
          await api.process.stop()
        }
      }),
  )
})
