import { ApiSettings, WorkerSettings } from '@aduana/runtime/config'
import { expect, test } from 'vitest'
import { checkSettings, RULES } from './check-settings.mjs'
import { readSettings } from './settings.mjs'

/** @type {Record<string, import('zod').ZodType>} */
const SHAPES = { ...ApiSettings.shape, ...WorkerSettings.shape }

const TEXTS = [
  ...['0', '1', '2', '3', '64', '65', '100', '101', '43200', '43201', '65535', '65536', '86400', '86401'],
  ...['-1', '1.5', 'x', '1e3', ' 7 ', '0x10', 'true', 'TRUE', 'yes', 'perhaps', 'off', 'info', 'loud'],
  ...['{aduana}', '{a b}', 'aduana', 'a@b.co', 'admin', 'short', 'x'.repeat(8), 'x'.repeat(32)],
  ...['s3://files/aduana', 's3://', 'https://files'],
]

test.each(Object.keys(RULES))('%s is right for the launcher exactly when it is for the programs', (name) => {
  const right = TEXTS.filter((text) => RULES[name]?.of(text))
  expect(right).toEqual(TEXTS.filter((text) => SHAPES[name]?.safeParse(text).success))
})

test('every setting that is a number, a choice or a flag has a rule', () => {
  // Free text takes any of these; a list of stages or of queues is read by the programs.
  const free = Object.keys(SHAPES).filter((name) => SHAPES[name]?.safeParse('loud').success)
  const byPrograms = [
    'ADUANA_PARENT_PID',
    'ADUANA_SNS_TOPIC_ARN',
    'ADUANA_SNS_FIFO_TOPIC_ARN',
    'ADUANA_SQS_QUEUE_URLS',
    'AWS_ENDPOINT_URL',
  ]
  const named = [...Object.keys(RULES), ...free, ...byPrograms]
  expect(Object.keys(SHAPES).filter((name) => !named.includes(name))).toEqual([])
})

test('all that is wrong is told at once, each by its name, and no secret is repeated', () => {
  const wrong = { PORT: 'http', ADUANA_WORKERS: '65', LOG_LEVEL: 'loud', ADUANA_ADMIN_PASSWORD: 'hunter2' }
  const told = () => readSettings(wrong)
  expect(told).toThrow('PORT is "http"; it must be a whole number from 1 to 65535.')
  expect(told).toThrow('ADUANA_WORKERS is "65"; it must be a whole number from 0 to 64.')
  expect(told).toThrow('LOG_LEVEL is "loud"; it must be one of fatal, error,')
  expect(told).toThrow('ADUANA_ADMIN_PASSWORD must be at least 8 characters long.')
  expect(told).not.toThrow('hunter2')
  checkSettings({ PORT: '', LOG_LEVEL: 'debug' })
})
