import { LaunchError } from './errors.mjs'

/**
 * Rules for the settings of the programs. They are checked before anything is installed or built, so that a wrong setting is
 * reported at once. The programs check all settings again; a test compares both.
 */

/** @typedef {{ is: string, of: (text: string) => boolean }} Rule */

/** @type {(least: number, most?: number) => Rule} */
const whole = (least, most = Number.MAX_SAFE_INTEGER) => ({
  is: `a whole number ${most === Number.MAX_SAFE_INTEGER ? `of ${least} or more` : `from ${least} to ${most}`}`,
  of: (text) => {
    const value = Number(text)
    return Number.isInteger(value) && value >= least && value <= most
  },
})

/** @type {(...words: string[]) => Rule} */
const oneOf = (...words) => ({ is: `one of ${words.join(', ')}`, of: (text) => words.includes(text) })

const YES_OR_NO = ['true', 'false', '1', '0', 'yes', 'no', 'on', 'off', 'y', 'n', 'enabled', 'disabled']
/** @type {Rule} */
const flag = { is: 'true or false', of: (text) => YES_OR_NO.includes(text.toLowerCase()) }

/** @type {(pattern: RegExp, is: string) => Rule} */
const like = (pattern, is) => ({ is, of: (text) => pattern.test(text) })

/** @type {(protocols: RegExp, is: string) => Rule} */
const url = (protocols, is) => ({
  is,
  of: (text) => URL.canParse(text.trim()) && protocols.test(new URL(text.trim()).protocol),
})

/** @type {(rule: Rule, is: string) => Rule} */
const listOf = (rule, is) => ({ is, of: (text) => listed(text).every((part) => rule.of(part)) })

/** @param {string} text */
const listed = (text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)

const STAGES = ['parse', 'validate', 'quarantine', 'load', 'fan-out']
const HTTP = url(/^https?:$/, 'an address, such as https://host:9000')
const QUEUE = 'https://sqs.us-east-1.amazonaws.com/123456789012/aduana'
const TOPIC = 'arn:aws:sns:us-east-1:123456789012:aduana-runs'
const EMAIL =
  /^(?:[A-Za-z0-9_'+-]+\.)*[A-Za-z0-9_'+-]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}$/
const BUCKET = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9][A-Za-z0-9._-]*)*\/?$/

/** @type {Readonly<Record<string, Rule>>} */
export const RULES = {
  DATABASE_URL: url(/^postgres(ql)?:$/, 'an address, such as postgres://user:password@host:5432/aduana'),
  REDIS_URL: url(/^rediss?:$/, 'an address, such as redis://host:6379'),
  PORT: whole(0, 65_535),
  LOG_LEVEL: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
  LOG_PRETTY: flag,
  QUEUE_PREFIX: like(/^\{[a-z0-9:_-]+\}$/, 'lower-case letters in braces, such as {aduana}'),
  MAX_FILE_SIZE: whole(1),
  ADUANA_ADMIN_EMAIL: like(EMAIL, 'an e-mail address'),
  ADUANA_ADMIN_PASSWORD: like(/^[\s\S]{8,}$/, 'at least 8 characters long'),
  ADUANA_ARTIFACTS_URL: like(BUCKET, 'a bucket and a prefix, such as s3://bucket/prefix'),
  ADUANA_DATABASE_POOL: whole(1),
  ADUANA_ENGINE_MEMORY_MB: whole(1),
  ADUANA_ENGINE_THREADS: whole(1),
  ADUANA_EVENT_DAYS: whole(7, 36_500),
  ADUANA_HEALTH_PORT: whole(1, 65_535),
  ADUANA_HISTORY_DAYS: whole(7, 36_500),
  ADUANA_IDLE_SECONDS: whole(1, 86_400),
  ADUANA_JWT_SECRET: like(/^[\s\S]{32,}$/, 'at least 32 characters long'),
  ADUANA_MAX_ACTIVE: whole(1),
  ADUANA_MAX_ACTIVE_PER_TENANT: whole(1),
  ADUANA_MAX_KEPT_BYTES_PER_TENANT: whole(1),
  ADUANA_MAX_QUEUED: whole(1),
  ADUANA_MAX_QUEUED_PER_TENANT: whole(1),
  ADUANA_MAX_UNPACKED_SIZE: whole(1),
  ADUANA_METRIC_CONCURRENCY: whole(0, 100),
  ADUANA_S3_PATH_STYLE: flag,
  ADUANA_SNS_FIFO_TOPIC_ARN: like(
    /^arn:[a-z-]+:sns:[a-z0-9-]+:\d+:[\w-]{1,251}\.fifo$/,
    `the ARN of a topic, such as ${TOPIC}.fifo`,
  ),
  ADUANA_SNS_TOPIC_ARN: like(
    /^arn:[a-z-]+:sns:[a-z0-9-]+:\d+:[\w-]{1,256}$/,
    `the ARN of a topic, such as ${TOPIC}`,
  ),
  ADUANA_SQS_QUEUE_URLS: listOf(HTTP, `addresses of queues, such as ${QUEUE}, separated by commas`),
  ADUANA_SQS_VISIBILITY_SECONDS: whole(3, 43_200),
  ADUANA_STUCK_SECONDS: whole(1),
  ADUANA_TOKEN_MINUTES: whole(1),
  ADUANA_WATCHDOG_SECONDS: whole(0),
  AWS_ENDPOINT_URL: HTTP,
}

/** Rules that a worker checks after it has read its settings. */
export const STAGE_RULES = {
  ADUANA_STAGES: listOf(oneOf(...STAGES), `a list of ${STAGES.join(', ')}, separated by commas`),
  ADUANA_STAGE_CONCURRENCY: listOf(
    like(new RegExp(`^(${STAGES.join('|')})=([1-9]\\d?|100)$`), ''),
    'stages with numbers from 1 to 100, such as parse=4,load=1',
  ),
}

/** Settings of the launcher itself. PORT is one of them: the launcher looks for a free port from there. */
const LAUNCHER_RULES = { ...RULES, ...STAGE_RULES, PORT: whole(1, 65_535), ADUANA_WORKERS: whole(0, 64) }

/** Names without a rule: any text is valid. Some belong to the command line, to tests or to the example. */
const FREE = [
  ...['ADUANA_DATA_DIR', 'ADUANA_DEMO', 'ADUANA_ORIGINS', 'ADUANA_PARENT_PID', 'ADUANA_S3_ENCRYPTION'],
  ...['ADUANA_TOOLS_DIR', 'ADUANA_TRUSTED_PROXIES', 'ADUANA_URL', 'ADUANA_EMAIL', 'ADUANA_PASSWORD'],
  ...['ADUANA_NEW_PASSWORD', 'ADUANA_TOKEN', 'ADUANA_QUEUE_URL', 'ADUANA_FAIL_POINTS', 'ADUANA_COVERAGE_DIR'],
  ...['ADUANA_FAULTS_FIGURES', 'ADUANA_FAULTS_LONG', 'ADUANA_SCENARIO_SEEDS'],
  ...['ADUANA_TESTS_LONG', 'ADUANA_TESTS_SEED'],
]

/** Settings that require AWS_REGION, and what they name. */
const OF_A_REGION = {
  ADUANA_ARTIFACTS_URL: 'a bucket',
  ADUANA_SNS_TOPIC_ARN: 'a topic',
  ADUANA_SNS_FIFO_TOPIC_ARN: 'a topic',
  ADUANA_SQS_QUEUE_URLS: 'a queue',
}

/** Settings whose values are never printed. */
const SECRET = /SECRET|PASSWORD|URL/

/**
 * @param {NodeJS.ProcessEnv} env
 * @throws {LaunchError} that names every setting that is wrong, and what it must be
 */
export function checkSettings(env) {
  const wrong = Object.entries(LAUNCHER_RULES).flatMap(([name, { is, of }]) => {
    const text = env[name]
    if (text === undefined || text === '' || of(text)) return []
    return [SECRET.test(name) ? `${name} must be ${is}.` : `${name} is "${text}"; it must be ${is}.`]
  })
  for (const [name, what] of Object.entries(OF_A_REGION))
    if (env[name] && !env.AWS_REGION)
      wrong.push(`AWS_REGION is missing; ${name} names ${what}, which requires it.`)
  if (wrong.length > 0) throw new LaunchError(wrong.join('\n'))
}

/**
 * Finds names that look like settings but are not, each with the most similar setting. A misspelt name has no effect.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[]} a sentence for each
 */
export function unknownSettings(env) {
  const known = [...Object.keys(LAUNCHER_RULES), ...FREE].filter((name) => name.startsWith('ADUANA_'))
  return Object.keys(env)
    .filter((name) => name.startsWith('ADUANA_') && !known.includes(name))
    .map((name) => {
      const [nearest] = known
        .map((other) => ({ other, steps: steps(name, other) }))
        .sort((a, b) => a.steps - b.steps)
      const hint = nearest && nearest.steps <= 4 ? ` Did you mean ${nearest.other}?` : ''
      return `${name} is not a setting and has no effect.${hint}`
    })
}

/**
 * Returns how many letters must be added, removed or replaced to turn one name into the other.
 * @param {string} from
 * @param {string} to
 */
function steps(from, to) {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
