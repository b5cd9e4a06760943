import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { armFailPoint, armFailPointsFrom, disarmFailPoints, failPoint } from './fail-points.ts'

afterEach(disarmFailPoints)

test('a point that is not armed does nothing', async () => {
  await failPoint('load.before-commit')
})

test('an armed point acts each time with its detail, until it is disarmed', async () => {
  const details: string[] = []
  armFailPoint('stage.before-work', (detail) => void details.push(detail))
  await failPoint('stage.before-work', 'parse')
  await failPoint('stage.before-work', 'load')
  await failPoint('stage.before-commit', 'load')
  disarmFailPoints()
  await failPoint('stage.before-work', 'parse')
  expect(details).toEqual(['parse', 'load'])
})

test('a point that is armed by text throws once', async () => {
  armFailPointsFrom('load.before-commit=throw')
  await expect(failPoint('load.before-commit')).rejects.toThrow('fail point')
  await failPoint('load.before-commit')
})

test('a point with a detail acts only at that detail', async () => {
  armFailPointsFrom('stage.before-commit:validate=throw')
  await failPoint('stage.before-commit', 'parse')
  await expect(failPoint('stage.before-commit', 'validate')).rejects.toThrow('fail point (validate)')
})

test('a detail matches all that begin with it and a slash', async () => {
  armFailPointsFrom('stage.before-commit:load/1=throw,stage.before-work:load=throw')
  await failPoint('stage.before-commit', 'load/12')
  await expect(failPoint('stage.before-commit', 'load/1')).rejects.toThrow('(load/1)')
  await expect(failPoint('stage.before-work', 'load/12')).rejects.toThrow('(load/12)')
})

test('an action with a path waits until the file exists', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'aduana-fail-points-'))
  try {
    armFailPointsFrom(`load.after-copy=throw?${join(folder, 'now')}`)
    await failPoint('load.after-copy')
    await writeFile(join(folder, 'now'), '')
    await expect(failPoint('load.after-copy')).rejects.toThrow('fail point')
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a point that blocks stops the event loop for that time', async () => {
  armFailPointsFrom('load.after-delete=block-50')
  const began = performance.now()
  const immediate = new Promise<number>((resolve) => setImmediate(() => resolve(performance.now() - began)))
  await failPoint('load.after-delete')
  expect(await immediate).toBeGreaterThanOrEqual(49)
})

test('one text can arm several points, and one point several times', async () => {
  armFailPointsFrom('stage.before-commit:parse=throw,stage.before-commit:load=throw,load.after-copy=throw,')
  await expect(failPoint('stage.before-commit', 'load')).rejects.toThrow('(load)')
  await expect(failPoint('stage.before-commit', 'parse')).rejects.toThrow('(parse)')
  await expect(failPoint('load.after-copy')).rejects.toThrow('fail point')
})

test('a point that hangs never continues', async () => {
  armFailPointsFrom('load.after-delete=hang')
  const passed = failPoint('load.after-delete').then(() => 'went on')
  // Everything that could have happened has happened after a turn of the event loop.
  expect(await Promise.race([passed, new Promise((resolve) => setImmediate(resolve, 'hangs'))])).toBe('hangs')
})

test('a point that holds writes a file, and continues when its file exists', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'aduana-fail-points-'))
  try {
    const go = join(folder, 'go')
    armFailPointsFrom(`load.after-delete=hold-${go}`)
    const passed = failPoint('load.after-delete').then(() => 'went on')
    expect(await readdir(folder)).toEqual(['go.held'])
    expect(await Promise.race([passed, new Promise((resolve) => setImmediate(resolve, 'holds'))])).toBe(
      'holds',
    )
    await writeFile(go, '')
    expect(await passed).toBe('went on')
  } finally {
    await rm(folder, { recursive: true })
  }
})

test.each([
  ['', undefined],
  ['load.before=throw', 'unknown fail point "load.before"'],
  ['load.before-commit', 'unknown action ""'],
  ['load.before-commit=explode', 'unknown action "explode"'],
  ['load.before-commit=block', 'unknown action "block"'],
])('the text "%s" is %s', (text, message) => {
  if (message === undefined) armFailPointsFrom(text)
  else expect(() => armFailPointsFrom(text)).toThrow(message)
})

test.each([
  ['kill', null, 'SIGKILL'],
  ['exit', 1, null],
  ['exhaust', null, 'SIGABRT'],
])('the action %s ends the process', async (action, code, signal) => {
  const program = `
    const { armFailPointsFrom, failPoint } = await import(${JSON.stringify(new URL('../dist/fail-points.js', import.meta.url).href)})
    armFailPointsFrom('load.after-copy=${action}')
    await failPoint('load.after-copy')
    process.exit(7)`
  const arguments_ = ['--max-old-space-size=24', '--input-type=module', '-e', program]
  const child = spawn(process.execPath, arguments_, { stdio: 'ignore' })
  expect(await once(child, 'exit')).toEqual([code, signal])
})
