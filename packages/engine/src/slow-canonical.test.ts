import { execFileSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { transcode } from './transcode.ts'

test('a canonical file that takes its bytes slowly gets all of them once and in order', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'aduana-engine-'))
  try {
    const [path, file, pipe] = ['original', 'canonical', 'pipe'].map((name) => join(folder, name))
    if (!path || !file || !pipe) throw new Error('three paths')
    const numbers = Array.from({ length: 500_000 }, (_, n) => `${n};${n * 7}\n`)
    await writeFile(path, `a;b\n${numbers.join('')}`)
    execFileSync('mkfifo', [pipe])
    const write = (canonical: string) =>
      transcode({
        ...{
          source: { path, format: 'plain' },
          encoding: 'utf-8',
          canonical,
          rejects: join(folder, 'rejects'),
        },
        ...{ delimiter: ';', quote: '"', expectedColumns: 2, columns: [0, 1], startOffset: 4, startLine: 2 },
      })
    await write(file)
    const [, slowly] = await Promise.all([write(pipe), readSlowly(pipe)])
    expect(slowly.equals(await readFile(file))).toBe(true)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

/** Reads a few bytes at a time, so that a writer has to wait for each of them. */
async function readSlowly(path: string): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of createReadStream(path, { highWaterMark: 4096 })) parts.push(part)
  return Buffer.concat(parts)
}
