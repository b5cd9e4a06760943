import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const built = JSON.stringify(new URL('../dist/logger.js', import.meta.url).href)

/** What a process of its own writes to its log. */
async function logged(level: string, statements: string): Promise<Record<string, unknown>[]> {
  const program = `
    const { createLogger } = await import(${built})
    const logger = createLogger({ name: 'worker', level: '${level}', pretty: false })
    ${statements}`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

test('a line names its process and its event', async () => {
  const [line] = await logged('info', `logger.info({ event: 'worker.ready', stages: 5 })`)
  expect(line).toMatchObject({ name: 'worker', event: 'worker.ready', stages: 5 })
})

test('secrets are masked in the first levels of a line', async () => {
  const secrets = ['password', 'token', 'authorization', 'cookie', 'ticket', 'secret']
  for (const name of secrets) {
    const lines = await logged(
      'info',
      `logger.info({ ${name}: 'hunter2', a: { ${name}: 'hunter2', b: { ${name}: 'hunter2' } }, kept: 'yes' })`,
    )
    expect(JSON.stringify(lines), name).not.toContain('hunter2')
    expect(lines[0]).toMatchObject({ [name]: '[hidden]', a: { b: { [name]: '[hidden]' } }, kept: 'yes' })
  }
})

test('an error is written with its stack and its cause, without the statement of a secret field', async () => {
  const [line] = await logged(
    'info',
    `const err = new Error('outer', { cause: new Error('inner') }); err.password = 'hunter2'; logger.warn({ event: 'x', err })`,
  )
  expect(JSON.stringify(line)).toContain('inner')
  expect(JSON.stringify(line)).not.toContain('hunter2')
})

test('lines below the level are not written', async () => {
  const lines = await logged('warn', `logger.info({ event: 'a' }); logger.error({ event: 'b' })`)
  expect(lines.map((line) => line.event)).toEqual(['b'])
  expect(await logged('silent', `logger.fatal({ event: 'a' })`)).toEqual([])
})
