import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { startApi } from '@aduana/testkit/api'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test } from 'vitest'
import { noteSeconds } from '../testing/measure.ts'
import { monthFile } from '../testing/month-files.ts'
import { expectAllLoaded } from '../testing/settled.ts'

/**
 * Limits the size of files that a process and its children can write to `bytes`; undefined removes the limit. The system
 * then refuses writes as it does when a disk or a quota is full, also for root (EFBIG instead of ENOSPC).
 */
async function limitFiles(pid: number, bytes: number | undefined): Promise<void> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  for (const one of [String(pid), ...children.split(' ').filter(Boolean)])
    await promisify(execFile)('prlimit', ['--pid', one, `--fsize=${bytes ?? 'unlimited'}:unlimited`])
}

/** Returns the files of the store that no job references. */
async function strays(system: TestSystem): Promise<string[]> {
  const folder = join(system.dataDir, 'artifacts')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const rows = await system.database.pool.query<{ key: string }>('select key from artifacts')
  const known = new Set([...rows.rows.map(({ key }) => join(folder, key)), join(folder, 'store-id')])
  return paths.filter((path) => !known.has(path))
}

describe.concurrent('a disk', { timeout: 300_000 }, () => {
  test('that is full while a worker writes delays an import, which loads once there is room', async ({
    expect,
  }) => {
    const system = await createTestSystem()
    try {
      const worker = await system.startWorker()
      await limitFiles(worker.pid, 512)
      const file = monthFile(0, 'n', 2000)
      await system.accept(file.content, { dataset: 'production' })
      const failed = await until(
        async () => {
          const rows = await system.database.pool.query<{ error: unknown }>(
            `select error from stage_results where state = 'failed'`,
          )
          return rows.rows[0]
        },
        { within: 60_000, what: 'a try has failed' },
      )
      expect(failed.error).toMatchObject({ code: 'internal', detail: expect.stringMatching(/room|full/i) })
      await delay(2000)
      await limitFiles(worker.pid, undefined)
      const room = performance.now()
      await expectAllLoaded(system, [file])
      await noteSeconds(
        'disk full under a worker: from the moment there is room until the import is final',
        room,
      )
      expect(await strays(system)).toEqual([])
    } finally {
      await system.close()
    }
  })

  test('that is full during an upload refuses the file with 507 and keeps nothing of it', async ({
    expect,
  }) => {
    const system = await createTestSystem()
    const api = await startApi(system)
    try {
      await limitFiles(api.process.pid, 4096)
      const file = monthFile(0, 'n', 2000)
      const refused = await api.upload(file.content, { dataset: 'production' })
      expect(refused.status).toBe(507)
      expect(await refused.json()).toMatchObject({ code: 'storage_full' })
      expect(await strays(system)).toEqual([])
      await limitFiles(api.process.pid, undefined)
      const accepted = await api.upload(file.content, { dataset: 'production' })
      expect(accepted.status).toBe(202)
      await system.startWorker()
      await expectAllLoaded(system, [file])
    } finally {
      await api.process.stop()
      await system.close()
    }
  })

  // Root ignores permissions: the error is thrown at the fail point where the store writes.
  test.for(['ENOSPC', 'EROFS', 'EIO', 'EDQUOT'])(
    'that fails once with %s delays an import by one try',
    async (code, { expect }) => {
      const system = await createTestSystem()
      try {
        await system.startWorker({ ADUANA_FAIL_POINTS: `artifact.before-rename=${code}` })
        const file = monthFile(0, 'e')
        const id = await system.accept(file.content, { dataset: 'production' })
        const job = await system.finished(id, 90_000)
        expect(job.attempts.map(({ stage, state }) => `${stage} ${state}`).slice(0, 2)).toEqual([
          'parse failed',
          'parse done',
        ])
        await expectAllLoaded(system, [file])
      } finally {
        await system.close()
      }
    },
  )
})
