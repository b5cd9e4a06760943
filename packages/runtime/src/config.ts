import { z } from 'zod'

const Megabytes = z.coerce.number().int().positive()

/** The settings that every process has. */
export const CommonSettings = z.object({
  DATABASE_URL: z.string().min(1),
  REDIS_URL: z.string().min(1),
  ADUANA_DATA_DIR: z.string().min(1).default('.data'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  LOG_PRETTY: z.stringbool().default(false),
  /** Prefix of every key in Redis. The braces keep all keys of a flow in one slot of a cluster. */
  QUEUE_PREFIX: z
    .string()
    .regex(/^\{[a-z0-9:_-]+\}$/)
    .default('{aduana}'),
  /** The process ends when this one is gone. */
  ADUANA_PARENT_PID: z.coerce.number().int().positive().optional(),
})

/** The settings of the API. */
export const ApiSettings = CommonSettings.extend({
  PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  HOST: z.string().default('127.0.0.1'),
  ADUANA_JWT_SECRET: z.string().min(32),
  ADUANA_TOKEN_MINUTES: z.coerce.number().int().positive().default(480),
  ADUANA_ADMIN_EMAIL: z.email().default('admin@aduana.local'),
  ADUANA_ADMIN_PASSWORD: z.string().min(8).optional(),
  /** Bytes; 5 GiB unless said. */
  MAX_FILE_SIZE: z.coerce
    .number()
    .int()
    .positive()
    .default(5 * 1024 ** 3),
  /** Where uploads are kept while they arrive; inside the artifact store unless said. */
  UPLOAD_DIR: z.string().min(1).optional(),
  /** Jobs that may wait; above it the API answers 429. */
  ADUANA_MAX_QUEUED: z.coerce.number().int().positive().default(1000),
  /** Origins besides our own that may open a WebSocket, separated by commas. */
  ADUANA_ORIGINS: z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean),
    ),
  /** Proxies whose X-Forwarded-* headers are believed: addresses, networks or `loopback`, separated by commas. */
  ADUANA_TRUSTED_PROXIES: z.string().min(1).default('loopback'),
  ADUANA_DATABASE_POOL: z.coerce.number().int().positive().default(10),
})
export type ApiSettings = z.infer<typeof ApiSettings>

/** The settings of a worker. */
export const WorkerSettings = CommonSettings.extend({
  /** Stages that this worker serves, separated by commas; all unless said. */
  ADUANA_STAGES: z.string().optional(),
  /** Jobs of each stage at once, as `parse=2,load=1`; what is not named keeps its default. */
  ADUANA_STAGE_CONCURRENCY: z.string().default(''),
  /** Jobs that are processed at once in the whole fleet. */
  ADUANA_MAX_ACTIVE: z.coerce.number().int().positive().default(8),
  /** Jobs of one tenant that are processed at once. */
  ADUANA_MAX_ACTIVE_PER_TENANT: z.coerce.number().int().positive().default(8),
  ADUANA_ENGINE_MEMORY_MB: Megabytes.default(384),
  ADUANA_ENGINE_THREADS: z.coerce.number().int().positive().default(2),
  /** Bytes of a file once it is unpacked. */
  ADUANA_MAX_UNPACKED_SIZE: z.coerce
    .number()
    .int()
    .positive()
    .default(20 * 1024 ** 3),
  ADUANA_DATABASE_POOL: z.coerce.number().int().positive().default(12),
})
export type WorkerSettings = z.infer<typeof WorkerSettings>

/** Settings that are missing or wrong, each with what was expected. */
export class SettingsError extends Error {
  constructor(problems: string[]) {
    super(`The settings are not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'SettingsError'
  }
}

/**
 * Read settings from environment variables by a schema; an empty variable counts as unset.
 * @throws SettingsError that names every setting that is missing or wrong
 */
export function readSettings<T extends z.ZodType>(
  schema: T,
  environment: Record<string, string | undefined>,
): z.output<T> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const result = schema.safeParse(given)
  if (result.success) return result.data
  throw new SettingsError(result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`))
}
