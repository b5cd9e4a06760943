import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeTestFolders } from './test-folder.mjs'

let dataDir = ''
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'aduana-test-folder-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

/** What a run owns, to be released when it ends. */
function openRun() {
  /** @type {(() => unknown)[]} */
  const stops = []
  /** @type {import('./lifetime.mjs').Lifetime} */
  const life = {
    signal: new AbortController().signal,
    reason: () => '',
    check: () => undefined,
    stopRequested: new Promise(() => undefined),
    own: (_, stop) => stops.push(stop),
    end: async () => {
      for (const stop of stops.reverse()) await stop()
      return true
    },
  }
  return life
}

test('the folders of a run are removed when it ends, and those of killed runs when the next begins', async () => {
  const { pid } = spawnSync(process.execPath, ['--version'])
  const abandoned = join(dataDir, `test-${pid}`)
  const running = join(dataDir, `test-${process.ppid}`)
  for (const folder of [abandoned, running]) mkdirSync(folder)
  const life = openRun()
  const { dir, scratch } = makeTestFolders(dataDir, life)
  expect([abandoned, running, dir, scratch].map((folder) => existsSync(folder))).toEqual([
    false,
    true,
    true,
    true,
  ])
  await life.end()
  expect([dir, scratch].map((folder) => existsSync(folder))).toEqual([false, false])
})
