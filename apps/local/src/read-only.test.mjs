import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PROGRAMS } from './application.mjs'
import { canChange, withCheckout } from './checkout.mjs'
import { makeDataDir, readSettings } from './settings.mjs'
import { prepare } from './system.mjs'

const NOBODY = 65_534
const signal = new AbortController().signal
const life = { signal, own: () => undefined }

let folder = ''
let root = ''
beforeEach(() => {
  // Where an ordinary user can go: the folder for temporary files may be one of the administrator's own.
  folder = mkdtempSync(join(process.geteuid?.() === 0 ? '/var/tmp' : tmpdir(), 'aduana-read-only-'))
  root = join(folder, 'checkout')
  mkdirSync(root)
  chmodSync(folder, 0o755)
})
afterEach(() => {
  chmodSync(root, 0o755)
  rmSync(folder, { recursive: true, force: true })
})

/**
 * Does something as a user who may not write into the checkout, whoever runs the tests.
 * @template T
 * @param {() => T | Promise<T>} work
 */
async function asStranger(work) {
  chmodSync(root, 0o555)
  const mine = process.geteuid?.()
  if (mine === 0) process.seteuid?.(NOBODY)
  try {
    return await work()
  } finally {
    if (mine === 0) process.seteuid?.(0)
  }
}

function settings() {
  const dataDir = join(folder, 'data')
  mkdirSync(dataDir)
  chmodSync(dataDir, 0o777)
  return { ...readSettings({ ADUANA_DATA_DIR: dataDir }), root }
}

test('a read-only checkout is neither installed nor built, and the launcher reports that', async () => {
  const ours = settings()
  expect(canChange(root)).toBe(true)
  await asStranger(async () => {
    expect(canChange(root)).toBe(false)
    await expect(withCheckout(ours, signal, async () => undefined)).rejects.toMatchObject({
      name: 'LaunchError',
      message: expect.stringContaining(`this user cannot write to the checkout ${root}`),
    })
    await expect(prepare(ours, life)).rejects.toMatchObject({
      name: 'LaunchError',
      message: expect.stringMatching(/is not built: apps\/api\/dist\/main\.js.*Build it as its owner/s),
    })
  })
})

test('a read-only checkout that is built is started unchanged', async () => {
  for (const program of Object.values(PROGRAMS)) {
    mkdirSync(dirname(join(root, program)), { recursive: true })
    writeFileSync(join(root, program), '')
  }
  const ours = settings()
  const before = process.env.DATABASE_URL
  process.env.DATABASE_URL = 'postgres://127.0.0.1:1/none'
  try {
    // The first thing that goes wrong is the database, which nothing was installed or built for.
    await asStranger(() => expect(prepare(ours, life)).rejects.toThrow('DATABASE_URL is set, but'))
  } finally {
    if (before === undefined) delete process.env.DATABASE_URL
    else process.env.DATABASE_URL = before
  }
})

test('a data folder that cannot be created is reported with the setting that names another', async () => {
  const ours = readSettings({ ADUANA_DATA_DIR: join(root, '.data') })
  await asStranger(() =>
    expect(() => makeDataDir(ours)).toThrow(
      `cannot write to the data folder ${join(root, '.data')} (EACCES). Set ADUANA_DATA_DIR to a folder that you may write to.`,
    ),
  )
})
