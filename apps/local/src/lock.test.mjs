import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { holderOf, takeLock } from './lock.mjs'

let dir = ''
let file = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'aduana-lock-'))
  file = join(dir, 'launcher.json')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

test('a second process sees the holder of the lock, and gets it after the release', () => {
  const first = takeLock(file)
  expect(first).toHaveProperty('release')
  expect(takeLock(file)).toMatchObject({ heldBy: { pid: process.pid } })
  expect(holderOf(file)).toMatchObject({ pid: process.pid })
  if ('release' in first) first.release()
  expect(holderOf(file)).toBeUndefined()
  expect(takeLock(file)).toHaveProperty('release')
})

test('the lock of a killed process is taken over, and nothing else is left beside it', async () => {
  const script = `const { takeLock } = await import(${JSON.stringify(new URL('./lock.mjs', import.meta.url).href)})
    takeLock(${JSON.stringify(file)}); process.kill(process.pid, 'SIGKILL')`
  await once(spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' }), 'exit')
  expect(readdirSync(dir)).toContain('launcher.json')
  expect(holderOf(file)).toBeUndefined()
  expect(takeLock(file)).toHaveProperty('release')
  expect(readdirSync(dir)).toEqual(['launcher.json'])
})

test('a lock is ignored if its process id belongs to another process by now, or if it is damaged', () => {
  writeFileSync(file, JSON.stringify({ pid: process.pid, born: '1' }))
  expect(takeLock(file)).toHaveProperty('release')
  writeFileSync(file, '{"pid":')
  expect(takeLock(file)).toHaveProperty('release')
})
