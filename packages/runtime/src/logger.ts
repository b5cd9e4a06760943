import { type Logger as PinoLogger, pino } from 'pino'

export type Logger = PinoLogger

/** Names of fields that are masked in logs. */
const SECRETS = ['password', 'token', 'authorization', 'cookie', 'ticket', 'secret']

export interface LoggerOptions {
  /** Name of the process: api, worker … */
  name: string
  level: string
  /** Readable lines instead of JSON. */
  pretty: boolean
}

/**
 * Creates a structured logger. Lines about a decision have an `event`, a constant dotted name. Secrets are masked in the
 * first three levels of an object.
 */
export function createLogger(options: LoggerOptions): Logger {
  return pino({
    name: options.name,
    level: options.level,
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[hidden]' },
    ...(options.pretty ? { transport: { target: 'pino-pretty', options: { colorize: true } } } : {}),
  })
}
