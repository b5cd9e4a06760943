import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { unpackGzip } from './gzip.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-gzip-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function unpack(bytes: Buffer): Promise<Buffer> {
  const path = join(folder, 'packed.gz')
  await writeFile(path, bytes)
  const parts: Buffer[] = []
  for await (const part of unpackGzip(path)) parts.push(part)
  return Buffer.concat(parts)
}

const refused = (message: string) => ({ code: 'bad_input', message: expect.stringContaining(message) })
const zeros = (count: number) => Buffer.alloc(count)

/** Members whose packed sizes lie around the chunks in which a file is read. */
const SIZES = [10, (256 << 10) - 40, 256 << 10, 3 << 20]

describe.each(SIZES)('a gzip file whose first member packs %d random bytes', (size) => {
  const text = randomBytes(size)
  const member = gzipSync(text)
  const second = gzipSync('k,n\nz,2\n')

  test('is read whole, also with more members and with zeros at its very end', async () => {
    expect((await unpack(member)).equals(text)).toBe(true)
    const two = Buffer.concat([text, Buffer.from('k,n\nz,2\n')])
    expect((await unpack(Buffer.concat([member, second]))).equals(two)).toBe(true)
    expect((await unpack(Buffer.concat([member, second, zeros(1)]))).equals(two)).toBe(true)
    expect((await unpack(Buffer.concat([member, second, zeros(1 << 20)]))).equals(two)).toBe(true)
  })

  test.each([1, 512, 300_000])('is rejected when %d zeros precede another member', async (count) => {
    const bytes = Buffer.concat([member, zeros(count), second])
    await expect(unpack(bytes)).rejects.toMatchObject(
      refused(`ends at byte ${member.length}; the first is byte ${member.length + count}`),
    )
  })

  test.each([
    ['text', Buffer.from('a,1\n')],
    ['one byte of a gzip header', Buffer.from([0x1f])],
    ['a gzip header without anything', Buffer.from([0x1f, 0x8b])],
    ['what only begins like gzip', Buffer.from([0x1f, 0x8b, 0x41, 0x42, 0x43, 0x0a])],
    ['a gzip header with text', Buffer.concat([second.subarray(0, 10), Buffer.from('a,1\nb,2\n')])],
    ['a member that is cut short', second.subarray(0, second.length - 3)],
    [
      'a member whose checksum is wrong',
      Buffer.from(second).fill(0x55, second.length - 8, second.length - 4),
    ],
    ['zeros and text', Buffer.concat([zeros(64), Buffer.from('a,1\n')])],
    ['zeros and one other byte', Buffer.concat([zeros(700_000), Buffer.from([1])])],
  ])('is refused when its last member is followed by %s', async (_, rest) => {
    await expect(unpack(Buffer.concat([member, rest]))).rejects.toMatchObject({ code: 'bad_input' })
  })
})

test('every place at which a file of three members can be cut refuses it, but for the ends of members', async () => {
  const members = ['a,b\n', '1,2\n', '3,4\n'].map((text) => gzipSync(text))
  const whole = Buffer.concat(members)
  const ends = new Set([members[0]?.length, (members[0]?.length ?? 0) + (members[1]?.length ?? 0)])
  for (let length = 1; length < whole.length; length++) {
    const outcome = unpack(whole.subarray(0, length))
    if (ends.has(length)) expect((await outcome).toString()).toMatch(/^a,b\n(1,2\n)?$/)
    else await expect(outcome, `${length} bytes`).rejects.toMatchObject({ code: 'bad_input' })
  }
})

test('five hundred members form one text', async () => {
  const lines = Array.from({ length: 500 }, (_, n) => `${n},${'x'.repeat(n)}\n`)
  expect((await unpack(Buffer.concat(lines.map((line) => gzipSync(line))))).toString()).toBe(lines.join(''))
})
