import { type Logger as PinoLogger, pino } from 'pino'

export type Logger = PinoLogger

/** Fields that never reach a log, wherever in an object they stand. */
const SECRETS = ['password', 'token', 'authorization', 'cookie', 'ticket', 'secret']

export interface LoggerOptions {
  /** Name of the process: api, worker … */
  name: string
  level: string
  /** Readable lines for people in place of JSON. */
  pretty: boolean
}

/**
 * A structured logger. Every line that marks a decision carries `event`, a constant dotted name.
 * Secrets are masked at any of the first levels of an object.
 */
export function createLogger(options: LoggerOptions): Logger {
  return pino({
    name: options.name,
    level: options.level,
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[hidden]' },
    ...(options.pretty ? { transport: { target: 'pino-pretty', options: { colorize: true } } } : {}),
  })
}
