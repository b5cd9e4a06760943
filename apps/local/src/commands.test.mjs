import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { takeLock } from './lock.mjs'
import { keepSecrets } from './secrets.mjs'
import { makeDataDir, readSettings } from './settings.mjs'
import { lockFileOf, readState, writeState } from './state.mjs'
import { readTally } from './tally.mjs'

const MAIN = fileURLToPath(new URL('./main.mjs', import.meta.url))

let dataDir = ''
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'aduana-data-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

/** @param {string[]} args */
function launcher(...args) {
  const env = { ...process.env, ADUANA_DATA_DIR: dataDir, ADUANA_URL: '', DATABASE_URL: '' }
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { env, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

test('reset removes a folder that the launcher created', () => {
  makeDataDir(readSettings({ ADUANA_DATA_DIR: dataDir }))
  expect(launcher('reset')).toMatchObject({ status: 0 })
  expect(existsSync(dataDir)).toBe(false)
  expect(launcher('reset')).toMatchObject({ status: 0 })
})

test('reset does not touch a folder that the launcher did not create', () => {
  writeFileSync(join(dataDir, 'thesis.txt'), 'years of work')
  makeDataDir(readSettings({ ADUANA_DATA_DIR: dataDir }))
  const { status, output } = launcher('reset')
  expect(status).toBe(1)
  expect(output).toContain('was not created by Aduana')
  expect(existsSync(join(dataDir, 'thesis.txt'))).toBe(true)
})

test('reset and a second start are refused while a launcher or a test run uses the folder', () => {
  makeDataDir(readSettings({ ADUANA_DATA_DIR: dataDir }))
  const lock = takeLock(lockFileOf(dataDir))
  expect(launcher('reset').output).toContain(`process ${process.pid}`)
  const second = launcher('start')
  expect(second).toMatchObject({ status: 1 })
  expect(second.output).toContain(`Aduana is already running on ${dataDir} (process ${process.pid})`)
  if ('release' in lock) lock.release()
  mkdirSync(join(dataDir, `test-${process.pid}`))
  expect(launcher('reset')).toMatchObject({ status: 1 })
  expect(existsSync(dataDir)).toBe(true)
})

test('the demo without a running system explains how to start one', () => {
  const { status, output } = launcher('demo')
  expect(status).toBe(1)
  expect(output).toContain('npm start')
})

test('test data are neither written nor cleaned unless a system or a database is named', () => {
  const nowhere = launcher('testdata')
  expect(nowhere).toMatchObject({ status: 1 })
  expect(nowhere.output).toMatch(/npm start[\s\S]*DATABASE_URL/)
  const nothing = launcher('testdata:clean')
  expect(nothing).toMatchObject({ status: 2 })
  expect(nothing.output).toContain('npm run reset')
})

test('the state of a running system is private and is ignored once its launcher has ended', () => {
  const state = { url: 'http://127.0.0.1:1', email: 'a@b', password: 'p', databaseUrl: 'd', redisUrl: 'r' }
  const lock = takeLock(lockFileOf(dataDir))
  writeState(dataDir, state)
  expect(statSync(join(dataDir, 'state.json')).mode & 0o077).toBe(0)
  expect(readState(dataDir)).toEqual(state)
  if ('release' in lock) lock.release()
  expect(readState(dataDir)).toBeUndefined()
})

test('an unknown command lists the known ones, and an invalid setting is named', () => {
  const unknown = launcher('fly')
  expect(unknown).toMatchObject({ status: 2 })
  expect(unknown.output).toMatch(
    /start[\s\S]*demo[\s\S]*test[\s\S]*dev[\s\S]*testdata[\s\S]*testdata:clean[\s\S]*reset/,
  )
  expect(() => readSettings({ ADUANA_WORKERS: 'many' })).toThrow(/ADUANA_WORKERS is "many"/)
  expect(launcher('start', '--twice')).toMatchObject({ status: 2 })
})

test('secrets are created once, are private, and are overridden by the environment', () => {
  const first = keepSecrets(dataDir, {})
  expect(keepSecrets(dataDir, {})).toEqual(first)
  expect(first.jwtSecret.length).toBeGreaterThanOrEqual(32)
  expect(statSync(join(dataDir, 'secrets.json')).mode & 0o077).toBe(0)
  expect(keepSecrets(dataDir, { ADUANA_ADMIN_PASSWORD: 'mine' })).toEqual({ ...first, adminPassword: 'mine' })
})

test('the tally counts broken test files and a run without a report as failures', () => {
  const file = join(dataDir, 'vitest.json')
  expect(readTally(file)).toEqual({ passed: 0, failed: 1 })
  const testResults = [
    { status: 'failed', assertionResults: [] },
    { status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'passed' }] },
    { status: 'passed', assertionResults: [{ status: 'passed' }] },
  ]
  writeFileSync(file, JSON.stringify({ numPassedTests: 2, numFailedTests: 1, testResults }))
  expect(readTally(file)).toEqual({ passed: 2, failed: 2 })
})
