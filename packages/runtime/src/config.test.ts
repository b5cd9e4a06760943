import { expect, test } from 'vitest'
import { ApiSettings, CommonSettings, readSettings, SettingsError, WorkerSettings } from './config.ts'

const NEEDED = { DATABASE_URL: 'postgres://x', REDIS_URL: 'redis://x' }
const SECRET = 'a'.repeat(32)

function problems(work: () => unknown): string[] {
  try {
    work()
  } catch (error) {
    if (error instanceof SettingsError) return error.message.split('\n').slice(1)
    throw error
  }
  return []
}

test('a setting that is not set has its default', () => {
  expect(readSettings(CommonSettings, NEEDED)).toEqual({
    ...NEEDED,
    ADUANA_DATA_DIR: '.data',
    LOG_LEVEL: 'info',
    LOG_PRETTY: false,
    QUEUE_PREFIX: '{aduana}',
    ADUANA_S3_PATH_STYLE: false,
  })
  expect(readSettings(ApiSettings, { ...NEEDED, ADUANA_JWT_SECRET: SECRET })).toMatchObject({
    PORT: 3000,
    HOST: '127.0.0.1',
    MAX_FILE_SIZE: 5_368_709_120,
    ADUANA_ORIGINS: [],
  })
  expect(readSettings(WorkerSettings, NEEDED)).toMatchObject({ ADUANA_MAX_ACTIVE: 8 })
})

test('an empty variable counts as unset, and others are left alone', () => {
  const settings = readSettings(CommonSettings, {
    ...NEEDED,
    LOG_LEVEL: '',
    ADUANA_PARENT_PID: '',
    HOME: '/x',
  })
  expect(settings).toMatchObject({ LOG_LEVEL: 'info' })
  expect(settings).not.toHaveProperty('HOME')
  expect(settings.ADUANA_PARENT_PID).toBeUndefined()
})

test('text is converted to the type of its setting', () => {
  const settings = readSettings(ApiSettings, {
    ...NEEDED,
    ADUANA_JWT_SECRET: SECRET,
    PORT: '0',
    LOG_PRETTY: 'yes',
    MAX_FILE_SIZE: '1e6',
    ADUANA_ORIGINS: ' https://a.example , ,https://b.example',
    ADUANA_PARENT_PID: '42',
  })
  expect(settings).toMatchObject({
    PORT: 0,
    LOG_PRETTY: true,
    MAX_FILE_SIZE: 1_000_000,
    ADUANA_ORIGINS: ['https://a.example', 'https://b.example'],
    ADUANA_PARENT_PID: 42,
  })
})

test('all missing and wrong settings are reported at once, by name', () => {
  const found = problems(() =>
    readSettings(ApiSettings, {
      DATABASE_URL: '',
      PORT: '65536',
      LOG_LEVEL: 'loud',
      ADUANA_JWT_SECRET: 'short',
    }),
  )
  expect(found.map((line) => line.trim().split(' ').slice(0, 2).join(' ')).sort()).toEqual([
    '- ADUANA_JWT_SECRET',
    '- DATABASE_URL',
    '- LOG_LEVEL',
    '- PORT',
    '- REDIS_URL',
  ])
  expect(found.find((line) => line.includes('PORT'))).toContain('65535')
  expect(found.find((line) => line.includes('LOG_LEVEL'))).toContain('"info"')
})

test.each([
  ['PORT', 'http'],
  ['PORT', '-1'],
  ['PORT', '80.5'],
  ['LOG_PRETTY', 'perhaps'],
  ['QUEUE_PREFIX', 'aduana'],
  ['QUEUE_PREFIX', '{a b}'],
  ['MAX_FILE_SIZE', '0'],
  ['ADUANA_ADMIN_PASSWORD', 'short'],
  ['ADUANA_ADMIN_EMAIL', 'admin'],
  ['ADUANA_PARENT_PID', 'init'],
])('%s cannot be %s', (name, value) => {
  const found = problems(() =>
    readSettings(ApiSettings, { ...NEEDED, ADUANA_JWT_SECRET: SECRET, [name]: value }),
  )
  expect(found).toHaveLength(1)
  expect(found[0]).toContain(`- ${name} is `)
})

test('a message never repeats a value, which may be a secret', () => {
  const text = problems(() => readSettings(ApiSettings, { ...NEEDED, ADUANA_JWT_SECRET: 'hunter2' })).join()
  expect(text).not.toContain('hunter2')
})

const TOPIC = 'arn:aws:sns:us-east-1:123456789012:aduana-runs'
const QUEUES = 'https://sqs.us-east-1.amazonaws.com/123456789012/events'

test('a worker neither publishes nor receives messages unless it is configured to', () => {
  const settings = readSettings(WorkerSettings, NEEDED)
  expect(settings).toMatchObject({ ADUANA_SQS_QUEUE_URLS: [], ADUANA_SQS_VISIBILITY_SECONDS: 60 })
  expect(settings).not.toHaveProperty('ADUANA_SNS_TOPIC_ARN')
})

test('topics and queues are named as AWS names them', () => {
  const settings = readSettings(WorkerSettings, {
    ...NEEDED,
    AWS_REGION: 'us-east-1',
    ADUANA_SNS_TOPIC_ARN: TOPIC,
    ADUANA_SNS_FIFO_TOPIC_ARN: `${TOPIC}.fifo`,
    ADUANA_SQS_QUEUE_URLS: `${QUEUES}, ${QUEUES}.fifo`,
    ADUANA_SQS_VISIBILITY_SECONDS: '300',
  })
  expect(settings).toMatchObject({
    ADUANA_SNS_TOPIC_ARN: TOPIC,
    ADUANA_SNS_FIFO_TOPIC_ARN: `${TOPIC}.fifo`,
    ADUANA_SQS_QUEUE_URLS: [QUEUES, `${QUEUES}.fifo`],
    ADUANA_SQS_VISIBILITY_SECONDS: 300,
  })
})

test.each([
  [
    'ADUANA_SNS_TOPIC_ARN',
    `${TOPIC}.fifo`,
    'the ARN of a topic, such as arn:aws:sns:us-east-1:123456789012:aduana-runs',
  ],
  ['ADUANA_SNS_TOPIC_ARN', 'aduana-runs', 'the ARN of a topic'],
  ['ADUANA_SNS_FIFO_TOPIC_ARN', TOPIC, 'aduana-runs.fifo'],
  ['ADUANA_SQS_QUEUE_URLS', 'events', 'must be the address of a queue'],
  ['ADUANA_SQS_QUEUE_URLS', `${QUEUES},ftp://x/y`, 'must be the address of a queue'],
  ['ADUANA_SQS_VISIBILITY_SECONDS', '2', 'is "2"; expected a whole number from 3 to 43200'],
  ['ADUANA_SQS_VISIBILITY_SECONDS', '43201', 'expected a whole number from 3 to 43200'],
])('%s cannot be %s', (name, value, part) => {
  const found = problems(() => readSettings(WorkerSettings, { ...NEEDED, AWS_REGION: 'x', [name]: value }))
  expect(found).toHaveLength(1)
  expect(found[0]).toContain(`- ${name}`)
  expect(found[0]).toContain(part)
})

test.each([
  ['ADUANA_SNS_TOPIC_ARN', TOPIC, 'a topic'],
  ['ADUANA_SNS_FIFO_TOPIC_ARN', `${TOPIC}.fifo`, 'a topic'],
  ['ADUANA_SQS_QUEUE_URLS', QUEUES, 'a queue'],
])('%s needs a region', (name, value, what) => {
  expect(problems(() => readSettings(WorkerSettings, { ...NEEDED, [name]: value }))).toEqual([
    `  - AWS_REGION is required, because ${name} names ${what}`,
  ])
})

test('a bucket for artifacts needs its region, and both are named when they are wrong', () => {
  const s3 = { ...NEEDED, ADUANA_ARTIFACTS_URL: 's3://files/aduana' }
  expect(problems(() => readSettings(WorkerSettings, s3))).toEqual([
    '  - AWS_REGION is required, because ADUANA_ARTIFACTS_URL names a bucket',
  ])
  expect(problems(() => readSettings(ApiSettings, { ...s3, ADUANA_JWT_SECRET: SECRET }))).toHaveLength(1)
  expect(readSettings(WorkerSettings, { ...s3, AWS_REGION: 'sa-east-1' })).toMatchObject({
    ADUANA_ARTIFACTS_URL: 's3://files/aduana',
    ADUANA_S3_PATH_STYLE: false,
  })
  for (const url of ['https://files', 's3://', 's3://Files', 's3://files/../x', 's3://files//x'])
    expect(
      problems(() => readSettings(WorkerSettings, { ...s3, AWS_REGION: 'x', ADUANA_ARTIFACTS_URL: url })),
    ).toEqual([
      `  - ADUANA_ARTIFACTS_URL is a text of ${url.length} characters; it must be a bucket and a prefix, such as s3://bucket/prefix`,
    ])
})
