import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeAbandoned } from './abandoned.ts'

test('files of killed processes are removed; files in transit and other files stay', async () => {
  const root = await mkdtemp(join(tmpdir(), 'aduana-abandoned-'))
  expect(await removeAbandoned(root)).toBe(0)
  const incoming = join(root, 'incoming')
  await mkdir(incoming)
  await writeFile(join(incoming, randomUUID()), 'x')
  await writeFile(join(incoming, 'notes.txt'), 'x')
  expect(await removeAbandoned(root)).toBe(0)
  expect(await removeAbandoned(root, { olderThanMs: -1000 })).toBe(1)
  expect(await readdir(incoming)).toEqual(['notes.txt'])
  await rm(root, { recursive: true })
})
