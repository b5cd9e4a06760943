import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '@aduana/runtime/logger'
import { expect, test } from 'vitest'
import { claimWorkFolder } from './work-folder.ts'

test('the scratch folder is accessible to its user only, even if it was open to others before', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'aduana-work-'))
  const umask = process.umask(0)
  try {
    await mkdir(join(folder, 'work'))
    await chmod(join(folder, 'work'), 0o777)
    const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
    const own = await claimWorkFolder(folder, logger)
    for (const path of [join(folder, 'work'), own]) expect((await stat(path)).mode & 0o777).toBe(0o700)
    expect(await readdir(join(folder, 'work'))).toHaveLength(1)
  } finally {
    process.umask(umask)
    await rm(folder, { recursive: true })
  }
})
