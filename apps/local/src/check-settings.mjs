import { LaunchError } from './errors.mjs'

/**
 * The rules for the settings of the programs that can be checked before anything is installed or built, so that a wrong
 * setting is reported at once and not when the API starts. The programs check all settings again; a test compares the two.
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

const BUCKET = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9][A-Za-z0-9._-]*)*\/?$/

/** @type {Readonly<Record<string, Rule>>} */
export const RULES = {
  PORT: whole(0, 65_535),
  LOG_LEVEL: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
  LOG_PRETTY: flag,
  QUEUE_PREFIX: like(/^\{[a-z0-9:_-]+\}$/, 'lower-case letters in braces, such as {aduana}'),
  MAX_FILE_SIZE: whole(1),
  ADUANA_ADMIN_EMAIL: like(/^\S+@\S+$/, 'an e-mail address'),
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
  ADUANA_SQS_VISIBILITY_SECONDS: whole(3, 43_200),
  ADUANA_STUCK_SECONDS: whole(1),
  ADUANA_TOKEN_MINUTES: whole(1),
  ADUANA_WATCHDOG_SECONDS: whole(0),
}

/** Settings of the launcher itself. PORT is one of them: the launcher looks for a free port from there. */
const LAUNCHER_RULES = { ...RULES, PORT: whole(1, 65_535), ADUANA_WORKERS: whole(0, 64) }

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
  if (wrong.length > 0) throw new LaunchError(wrong.join('\n'))
}
