import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCaptured } from '../testing/run-captured.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-sample-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const aduana = (...args: string[]) => runCaptured(args, { env: {} })

test('aduana sample writes a file and reports its contents; the same seed writes the same file', async () => {
  const [out, again, report] = ['a.csv', 'b.csv', 'a.json'].map((name) => join(folder, name))
  const options = ['--dataset', 'orders', '--rows', '200', '--seed', '7']
  const written = await aduana('sample', ...options, '--out', `${out}`, '--report', `${report}`)
  expect(written).toMatchObject({ code: 0, err: '' })
  const counts = JSON.parse(await readFile(`${report}`, 'utf8'))
  expect(counts.records).toBe(counts.good + counts.rejected + counts.duplicates + counts.conflicts)
  expect(written.out).toContain(`${counts.good} good, ${counts.rejected} bad`)
  await aduana('sample', ...options, '--out', `${again}`)
  expect(await readFile(`${again}`, 'utf8')).toBe(await readFile(`${out}`, 'utf8'))
})

test.each([
  [['--from', '2025-03-01']],
  [['--from', '2025-03-02', '--to', '2025-03-01']],
  [['--from', '2025-02-30', '--to', '2025-03-01']],
])('aduana sample refuses the period %s', async (period) => {
  const out = join(folder, 'none.csv')
  const refused = await aduana('sample', '--out', out, '--rows', '10', ...period)
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('--from') })
  await expect(readFile(out)).rejects.toThrow('ENOENT')
})
