import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { LONG } from '@aduana/testkit/long'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isWithin } from './measure.ts'
import { hasFailed, type RejectLimit } from './reject-limit.ts'
import { transcode } from './transcode.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-limit-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

type Kind = 'plain' | 'gzip' | 'utf-16le'

/** Reads a text of three columns, whose header is `a;b;c`, as far as `limit` allows. */
async function read(body: string, kind: Kind, limit?: RejectLimit) {
  const path = join(folder, 'original')
  const text = `a;b;c\n${body}`
  const bytes = Buffer.from(text, kind === 'utf-16le' ? 'utf16le' : 'utf8')
  await writeFile(path, kind === 'gzip' ? gzipSync(bytes) : bytes)
  const rejects = join(folder, 'rejects')
  const found = await transcode({
    source: { path, format: kind === 'gzip' ? 'gzip' : 'plain' },
    encoding: kind === 'utf-16le' ? kind : 'auto',
    canonical: join(folder, 'canonical'),
    rejects,
    delimiter: ';',
    quote: '"',
    expectedColumns: 3,
    columns: [0, 1, 2],
    startOffset: 6,
    startLine: 2,
    ...(limit ? { rejectLimit: limit } : {}),
  })
  return { ...found, total: Buffer.byteLength(text), keptBytes: (await stat(rejects)).size }
}

/** Rejects first, then exactly as many of the shortest good records as the share requires. */
const justWithin = (rejects: number, share: number) =>
  `${'x\n'.repeat(rejects)}${'1;;\n'.repeat(Math.round(rejects / share) - rejects)}`.slice(0, -1)

/** Enough that the limit is checked several times before the end of the file. */
const REJECTS = LONG ? 200_000 : 100_000

describe('the limit of rejects', () => {
  test.each<[Kind, number]>([
    ['plain', 0.2],
    ['plain', 0.5],
    ['gzip', 0.2],
    ['utf-16le', 0.25],
  ])('never stops a %s file that is just within its share of %d', async (kind, share) => {
    const body = justWithin(REJECTS, share)
    expect(await read(body, kind, { share, floor: 0 })).toMatchObject({
      stopped: false,
      structural: REJECTS,
      records: REJECTS / share,
    })
  })

  test('stops a plain file that exceeds its share by one record', async () => {
    const body = justWithin(REJECTS, 0.2).slice(0, -4)
    expect(await read(body, 'plain', { share: 0.2, floor: 0 })).toMatchObject({ stopped: true })
  })

  test('gives the result of the whole file, however rejects and valid records are mixed', async () => {
    let seed = 7
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return seed / 2_147_483_648
    }
    let stops = 0
    for (let round = 0; round < (LONG ? 30 : 8); round++) {
      const bad = random()
      const lines = Array.from({ length: 20_000 }, () => {
        if (random() < bad) return random() < 0.5 ? 'x' : '"open;1;2'
        return random() < 0.5 ? ';;1' : `${round};"quoted ""text""";${random()}`
      })
      const share = Math.round(random() * 100) / 100
      const kind = round % 3 === 0 ? 'gzip' : 'plain'
      const whole = await read(lines.join('\n'), kind)
      const limited = await read(lines.join('\n'), kind, { share, floor: 0 })
      if (limited.stopped) expect(whole.structural / whole.records).toBeGreaterThan(share)
      else expect(limited).toMatchObject({ records: whole.records, structural: whole.structural })
      if (limited.stopped) stops += 1
    }
    expect(stops).toBeGreaterThan(3)
  })

  test('continues reading up to its floor', () => {
    const limit = { share: 0.2, floor: 10 }
    expect(hasFailed(limit, { records: 10, rejects: 10, unreadBytes: 0, columns: 3 })).toBe(false)
    expect(hasFailed(limit, { records: 11, rejects: 11, unreadBytes: 0, columns: 3 })).toBe(true)
  })

  test.each<Kind>(['plain', 'gzip'])('stops early in a million short bad lines (%s)', async (kind) => {
    const body = Array.from({ length: 1_000_000 }, (_, n) => `${(n * 7919) % 1_000_003}`).join('\n')
    const found = await read(body, kind, { share: 0.2, floor: 10_000 })
    expect(found).toMatchObject({ stopped: true, good: 0 })
    expect(found.records).toBeLessThan(400_000)
    expect(found.bytes).toBeLessThan(found.total / 2)
    expect(found.keptBytes).toBeLessThan(found.total)
  })
})

describe('the size of a file', () => {
  const most = { bytes: 100_000, lines: 10_000 }
  const isSmall = async (content: Buffer, format: 'plain' | 'gzip') => {
    const path = join(folder, 'sized')
    await writeFile(path, content)
    return isWithin({ path, format }, most)
  }

  test('is that of its content, whatever size the file states', async () => {
    const large = gzipSync(Buffer.alloc(600_000, 'a'))
    expect(await isSmall(gzipSync(Buffer.alloc(100_000, 'a')), 'gzip')).toBe(true)
    expect(await isSmall(large, 'gzip')).toBe(false)
    large.writeUInt32LE(5, large.length - 4)
    expect(await isSmall(large, 'gzip')).toBe(false)
    const members = Buffer.concat(Array.from({ length: 101 }, () => gzipSync(Buffer.alloc(1000, 'a'))))
    expect(await isSmall(members, 'gzip')).toBe(false)
  })

  test('is also the number of its lines', async () => {
    expect(await isSmall(Buffer.from('x\r\n'.repeat(10_000)), 'plain')).toBe(true)
    expect(await isSmall(Buffer.from('x\n'.repeat(10_001)), 'plain')).toBe(false)
    expect(await isSmall(Buffer.from('x\r'.repeat(10_001)), 'plain')).toBe(false)
  })
})
