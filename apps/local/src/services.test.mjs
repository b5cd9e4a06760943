import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from './ports.mjs'
import { startPostgres } from './postgres.mjs'
import { startRedis } from './redis.mjs'

let dir = ''
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'aduana-services-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/**
 * @param {string} url
 * @param {string} sql
 */
async function query(url, sql) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

/**
 * @param {string} url
 * @param {string} command
 * @returns {Promise<string>} all that Redis answers
 */
function ask(url, command) {
  const { port, password } = new URL(url)
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect({ host: '127.0.0.1', port: Number(port) })
    socket.on('data', (chunk) => {
      answer += chunk.toString()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
    socket.write(`AUTH ${password}\r\n${command}\r\nQUIT\r\n`)
  })
}

test('a PostgreSQL killed with SIGKILL restarts with its data, on another port if its own is in use', async () => {
  const options = { dir: join(dir, 'postgres'), database: 'aduana' }
  const first = await startPostgres(options)
  await query(first.url, "create table kept as select 'Ñandú' as word")
  process.kill(first.pid, 'SIGKILL')
  await first.service.exited
  expect(readdirSync(join(options.dir, 'data'))).toContain('postmaster.pid')

  const squatter = createServer()
  await new Promise((resolve) => squatter.listen(first.port, '127.0.0.1', () => resolve(undefined)))
  const second = await startPostgres({ ...options, port: first.port })
  expect(second.port).not.toBe(first.port)
  expect(await query(second.url, 'select word, upper(word) as loud from kept')).toEqual([
    { word: 'Ñandú', loud: 'ÑANDÚ' },
  ])
  await second.stop()
  await second.stop()
  squatter.close()
  expect(readdirSync(join(options.dir, 'data'))).not.toContain('postmaster.pid')
})

test('a PostgreSQL for tests is not durable, has its settings, and refuses connections without the password', async () => {
  const server = await startPostgres({
    dir: join(dir, 'fast'),
    durable: false,
    settings: { work_mem: '7MB' },
  })
  const shown = "select current_setting('fsync') as fsync, current_setting('work_mem') as memory"
  expect(await query(server.url, shown)).toEqual([{ fsync: 'off', memory: '7MB' }])
  const { password } = new URL(server.url)
  await expect(query(server.url.replace(password, 'guess'), 'select 1')).rejects.toThrow(
    /password authentication failed/,
  )
  expect(statSync(join(dir, 'fast', 'password')).mode & 0o077).toBe(0)
  await server.stop()
})

test('a persistent Redis keeps its data, one for tests does not, and both require the password', async () => {
  for (const persistent of [true, false]) {
    const options = { dir: join(dir, `redis-${persistent}`), persistent }
    const first = await startRedis(options)
    expect(await ask(first.url, 'SET word kept')).toContain('+OK')
    expect(await ask(first.url.replace(/:\w+@/, ':guess@'), 'GET word')).toContain('-NOAUTH')
    expect(await ask(first.url, 'CONFIG GET maxmemory-policy')).toContain('noeviction')
    await first.stop()
    const second = await startRedis(options)
    const answer = await ask(second.url, 'GET word')
    expect(answer.includes('kept')).toBe(persistent)
    await second.stop()
  }
})

test('two services that need one port at the same time both start', async () => {
  const port = await freePort()
  const both = await Promise.all(
    ['one', 'two'].map((name) => startRedis({ dir: join(dir, name), persistent: false, port })),
  )
  expect(new Set(both.map((redis) => redis.port)).size).toBe(2)
  await Promise.all(both.map((redis) => redis.stop()))
})
