import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { offeredName } from '../api/download.ts'
import { Interrupted } from '../io.ts'
import { JOB_ID, job } from '../testing/jobs.ts'
import { runCaptured } from '../testing/run-captured.ts'

const CONTENT = 'a;b\r\n1;2\r\n'
const SHA = createHash('sha256').update(CONTENT).digest('hex')

let url: string
/** What it sends. */
let sent: string
/** Called when half of the file is under way; the rest follows only without it. */
let onHalf: (() => void) | undefined
const server = createServer((request, response) => {
  if (!request.url?.includes('/artifacts/')) {
    const artifacts = [
      { name: 'original', bytes: CONTENT.length, sha256: SHA, mediaType: 'text/csv', removedAt: null },
    ]
    response.writeHead(200, { 'content-type': 'application/json' })
    return void response.end(JSON.stringify(job({ artifacts })))
  }
  response.writeHead(200)
  if (!onHalf) return void response.end(sent)
  response.write(sent.slice(0, 4), onHalf)
})

let folder: string
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-download-'))
  sent = CONTENT
  onHalf = undefined
})
afterEach(() => rm(folder, { recursive: true }))
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const download = (args: string[], signal?: AbortSignal) =>
  runCaptured(['download', JOB_ID, 'original', ...args], {
    env: { ADUANA_URL: url, ADUANA_TOKEN: 'a-token' },
    ...(signal ? { signal } : {}),
  })

test('a download replaces the requested output file', async () => {
  const path = join(folder, 'my.csv')
  await writeFile(path, 'old')
  expect(await download(['-o', path])).toMatchObject({ code: 0, out: `${path}: ${CONTENT.length} B\n` })
  expect(await readFile(path, 'utf8')).toBe(CONTENT)
  expect(await readdir(folder)).toEqual(['my.csv'])
})

test('a download to standard output is the file and nothing else', async () => {
  expect(await download(['-o', '-'])).toMatchObject({ code: 0, out: CONTENT })
})

test('a download that arrives damaged leaves nothing, and keeps what was there', async () => {
  const path = join(folder, 'my.csv')
  await writeFile(path, 'old')
  sent = CONTENT.replace('1', '7')
  const { code, err } = await download(['-o', path])
  expect([code, err]).toEqual([6, expect.stringContaining('original was damaged during the download')])
  expect([await readdir(folder), await readFile(path, 'utf8')]).toEqual([['my.csv'], 'old'])
})

test('a download that is aborted leaves nothing', async () => {
  const leave = new AbortController()
  onHalf = () => leave.abort(new Interrupted('SIGINT'))
  expect(await download(['-o', join(folder, 'my.csv')], leave.signal)).toMatchObject({ code: 130 })
  expect(await readdir(folder)).toEqual([])
})

test('a download to a missing folder fails with that reason', async () => {
  const { code, err } = await download(['-o', join(folder, 'none', 'my.csv')])
  expect([code, err]).toEqual([
    1,
    expect.stringContaining('my.csv cannot be written: the folder does not exist'),
  ])
})

test.each([
  ["attachment; filename*=UTF-8''a%C3%B1o.csv", 'año.csv'],
  ["attachment; filename*=UTF-8''..%2F..%2Fa%0A.csv", '.._.._a_.csv'],
  ["attachment; filename*=UTF-8''..", undefined],
  ['attachment', undefined],
  [null, undefined],
])('a download offered as %s is saved as %s in the current folder', (offered, name) => {
  expect(offeredName(offered)).toBe(name)
})
