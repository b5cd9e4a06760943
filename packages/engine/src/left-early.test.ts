import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { openFiles } from '@aduana/testkit/open-files'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TaskContext } from './child/context.ts'
import { openLines } from './child/lines.ts'
import { writeRejects } from './child/rejects.ts'
import { inspectFile } from './inspect.ts'
import { openCutter } from './raw-records.ts'
import { readSource, type Source, sourceProgress } from './source.ts'
import { transcode } from './transcode.ts'

let folder: string
/** A file of 6 MB: plain, compressed, compressed and truncated, and compressed with other bytes after it. */
const files = { plain: '', gzip: '', short: '', followed: '' }
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-left-'))
  const text = Buffer.from(Array.from({ length: 400_000 }, (_, n) => `${n};${Math.random()}\n`).join(''))
  const packed = gzipSync(text)
  const contents = {
    plain: text,
    gzip: packed,
    short: packed.subarray(0, packed.length >> 1),
    followed: Buffer.concat([packed, Buffer.from('no padding')]),
  }
  for (const name of ['plain', 'gzip', 'short', 'followed'] as const) {
    files[name] = join(folder, name)
    await writeFile(files[name], contents[name])
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const allClosed = () => expect.poll(() => openFiles(folder), { timeout: 5000 }).toEqual([])
const sourceOf = (name: keyof typeof files, more: Partial<Source> = {}): Source => ({
  path: files[name],
  format: name === 'plain' ? 'plain' : 'gzip',
  encoding: 'utf-8',
  ...more,
})

describe('an original is closed', () => {
  test.each(['plain', 'gzip'] as const)('when the reader stops early (%s)', async (name) => {
    for await (const chunk of readSource(sourceOf(name), sourceProgress())) {
      expect(chunk.length).toBeGreaterThan(0)
      expect(await openFiles(folder)).toEqual([files[name]])
      break
    }
    await allClosed()
  })

  test.each([
    ['it is cut short', () => sourceOf('short')],
    ['something follows it', () => sourceOf('followed')],
    ['it unpacks to more than is allowed', () => sourceOf('gzip', { maxBytes: 1_000_000 })],
  ])('when reading fails because %s', async (_what, source) => {
    const reading = async () => {
      for await (const _ of readSource(source(), sourceProgress()));
    }
    await expect(reading()).rejects.toMatchObject({ code: 'bad_input' })
    await allClosed()
  })

  test('when only its head was read', async () => {
    expect(await inspectFile(files.gzip)).toMatchObject({ kind: 'csv', complete: false })
    await allClosed()
  })

  test('with the results when its transcoding is aborted or cannot write', async () => {
    const options = {
      source: { path: files.gzip, format: 'gzip' as const },
      encoding: 'utf-8' as const,
      canonical: join(folder, 'canonical'),
      delimiter: ';',
      quote: '"',
      expectedColumns: 2,
      columns: [0, 1],
      startOffset: 0,
      startLine: 1,
    }
    const aborted = transcode({
      ...options,
      rejects: join(folder, 'structural'),
      signal: AbortSignal.abort(),
    })
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' })
    await allClosed()
    const nowhere = transcode({ ...options, rejects: join(folder, 'missing', 'structural') })
    await expect(nowhere).rejects.toMatchObject({ code: 'ENOENT' })
    await allClosed()
  })

  test('when cutting ends early', async () => {
    const cutter = openCutter(sourceOf('gzip'))
    expect(await cutter.cut(0, 1)).toMatchObject({ raw: '0', truncated: false })
    expect(await openFiles(folder)).toEqual([files.gzip])
    await cutter.close()
    await allClosed()
  })
})

describe('a file of rejects is closed', () => {
  /** Records from `first` on, more than is read at once. */
  const lines = (first: number) =>
    Array.from({ length: 30_000 }, (_, n) =>
      JSON.stringify({ record: first + n * 2, line: 1, offset: n, length: 1, reasons: [] }),
    ).join('\n')

  test('when its cursor is, although lines are left', async () => {
    const path = join(folder, 'lines.ndjson')
    await writeFile(path, lines(1))
    const cursor = await openLines(path, (value) => value)
    expect(cursor.current).toMatchObject({ record: 1 })
    expect(await openFiles(folder)).toEqual([path])
    await cursor.close()
    await allClosed()
  })

  test('when its first line is not JSON', async () => {
    const path = join(folder, 'bad.ndjson')
    await writeFile(path, `{\n${lines(1)}`)
    await expect(openLines(path, (value) => value)).rejects.toThrow(SyntaxError)
    await allClosed()
  })

  test.each([
    ['the task is aborted', AbortSignal.abort(), 'aborted'],
    ['the original ends too early', new AbortController().signal, 'bad_input'],
  ])('with the original and the result when %s', async (_what, signal, code) => {
    const workDir = join(folder, `work-${code}`)
    await mkdir(join(workDir, 'temp'), { recursive: true })
    const structural = join(workDir, 'structural.ndjson')
    const original = join(workDir, 'original')
    await writeFile(structural, lines(1))
    await writeFile(original, 'x'.repeat(code === 'aborted' ? 40_000 : 10))
    const context: TaskContext = {
      tempDir: join(workDir, 'temp'),
      limits: { memoryLimitMb: 128, threads: 1, maxTempMb: 64 },
      signal,
      report: () => undefined,
    }
    const task = {
      type: 'rejects' as const,
      workDir,
      original,
      format: 'plain' as const,
      encoding: 'utf-8' as const,
      structural,
      output: join(workDir, 'rejects.ndjson'),
      sql: null,
    }
    await expect(writeRejects(task, context)).rejects.toMatchObject({ code })
    await allClosed()
  })
})
