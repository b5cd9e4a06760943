import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { STAGE_NAMES } from '@aduana/contracts/stages'
import { ApiSettings, WorkerSettings } from '@aduana/runtime/config'
import { expect, test } from 'vitest'
import { checkSettings, RULES, STAGE_RULES, unknownSettings } from './check-settings.mjs'
import { readSettings } from './settings.mjs'

/** @type {Record<string, import('zod').ZodType>} */
const SHAPES = { ...ApiSettings.shape, ...WorkerSettings.shape }

const TEXTS = [
  ...['0', '1', '2', '3', '64', '65', '100', '101', '43200', '43201', '65535', '65536', '86400', '86401'],
  ...['-1', '1.5', 'x', '1e3', ' 7 ', '0x10', 'true', 'TRUE', 'yes', 'perhaps', 'off', 'info', 'loud'],
  ...['{aduana}', '{a b}', 'aduana', 'a@b.co', 'admin', 'short', 'x'.repeat(8), 'x'.repeat(32)],
  ...[
    's3://files/aduana',
    's3://',
    'https://files',
    'https://a.co:9000/x',
    'https://',
    'ftp://x/y',
    'host:9000',
  ],
  ...['https://a.co/q1, https://a.co/q2', 'https://a.co/q1,q2', ' https://a.co ', ','],
  ...[
    'postgres://u:p@h:5432/d',
    'postgresql://h/d',
    'postgres://',
    'mysql://h/d',
    'redis://h',
    'rediss://:p@h:6379',
  ],
  ...[
    'arn:aws:sns:us-east-1:123456789012:a-b',
    'arn:aws:sns:us-east-1:123456789012:a.fifo',
    'arn:aws:sqs:x:1:a',
  ],
  ...[
    'parse',
    'parse,load',
    'parse=4,load=1',
    'parse=0',
    'parse=101',
    'parse=100',
    'lod=1',
    'parse, fan-out',
    'lod',
  ],
]

test.each(Object.keys(RULES))('%s is valid for the launcher exactly if it is for the programs', (name) => {
  const right = TEXTS.filter((text) => RULES[name]?.of(text))
  expect(right).toEqual(TEXTS.filter((text) => SHAPES[name]?.safeParse(text).success))
})

test('every setting that is a number, a choice or a flag has a rule', () => {
  // Free text takes any of these.
  const free = Object.keys(SHAPES).filter((name) => SHAPES[name]?.safeParse('loud').success)
  const named = [...Object.keys(RULES), ...free, 'ADUANA_PARENT_PID']
  expect(Object.keys(SHAPES).filter((name) => !named.includes(name))).toEqual([])
})

test('all wrong settings are reported at once, by name, and no secret is repeated', () => {
  const wrong = { PORT: 'http', ADUANA_WORKERS: '65', LOG_LEVEL: 'loud', ADUANA_ADMIN_PASSWORD: 'hunter2' }
  const told = () => readSettings(wrong)
  expect(told).toThrow('PORT is "http"; it must be a whole number from 1 to 65535.')
  expect(told).toThrow('ADUANA_WORKERS is "65"; it must be a whole number from 0 to 64.')
  expect(told).toThrow('LOG_LEVEL is "loud"; it must be one of fatal, error,')
  expect(told).toThrow('ADUANA_ADMIN_PASSWORD must be at least 8 characters long.')
  expect(told).not.toThrow('hunter2')
  checkSettings({ PORT: '', LOG_LEVEL: 'debug' })
})

test('stages and their numbers are valid for the launcher exactly if they are for a worker', () => {
  const right = (/** @type {keyof typeof STAGE_RULES} */ name) =>
    TEXTS.filter((text) => STAGE_RULES[name].of(text))
  expect(right('ADUANA_STAGES')).toEqual([',', 'parse', 'parse,load', 'parse, fan-out'])
  expect(STAGE_NAMES.filter((name) => !STAGE_RULES.ADUANA_STAGES.of(name))).toEqual([])
  expect(right('ADUANA_STAGE_CONCURRENCY')).toEqual([',', 'parse=4,load=1', 'parse=100'])
})

test('missing settings of AWS are reported before anything is built', () => {
  expect(() => checkSettings({ ADUANA_ARTIFACTS_URL: 's3://files/aduana' })).toThrow('AWS_REGION is missing')
  checkSettings({ ADUANA_ARTIFACTS_URL: 's3://files/aduana', AWS_REGION: 'sa-east-1' })
})

test('invalid addresses are reported without the passwords in them', () => {
  const told = () =>
    checkSettings({ DATABASE_URL: 'user:hunter2@host/aduana', REDIS_URL: 'http://:hunter2@host' })
  expect(told).toThrow('DATABASE_URL must be an address, such as postgres://')
  expect(told).toThrow('REDIS_URL must be an address, such as redis://')
  expect(told).not.toThrow('hunter2')
})

test('a misspelt name is reported with the likely setting, and no documented name is', () => {
  expect(unknownSettings({ ADUANA_WORKER: '2', PATH: 'x', ADUANA_STAGES: 'parse' })).toEqual([
    'ADUANA_WORKER is not a setting and has no effect. Did you mean ADUANA_WORKERS?',
  ])
  const guide = readFileSync(new URL('../../../docs/guides/configuration.md', import.meta.url), 'utf8')
  const documented = Object.fromEntries(
    [...guide.matchAll(/`(ADUANA_[A-Z0-9_]+)`/g)].map(([, name = '']) => [name, 'x']),
  )
  expect(Object.keys(documented).length).toBeGreaterThan(30)
  expect(unknownSettings(documented)).toEqual([])
})

test.each(['start', 'dev', 'demo', 'testdata'])(
  '%s reports all errors before anything is installed, built or created',
  (command) => {
    const folder = mkdtempSync(join(tmpdir(), 'aduana-checkout-'))
    try {
      cpSync(fileURLToPath(new URL('.', import.meta.url)), join(folder, 'apps/local/src'), {
        recursive: true,
      })
      const env = {
        PATH: process.env.PATH ?? '',
        PORT: 'abc',
        DATABASE_URL: 'mysql://h/d',
        ADUANA_WORKER: '2',
      }
      const main = join(folder, 'apps/local/src/main.mjs')
      const { status, stderr } = spawnSync(process.execPath, [main, command], { env, encoding: 'utf8' })
      expect(status).toBe(1)
      for (const part of ['PORT is "abc"', 'DATABASE_URL must be', 'Did you mean ADUANA_WORKERS?'])
        expect(stderr).toContain(part)
      expect(readdirSync(folder)).toEqual(['apps'])
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)
