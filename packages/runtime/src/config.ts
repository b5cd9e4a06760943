import { readInput } from '@aduana/contracts/input-problems'
import { z } from 'zod'

const Megabytes = z.coerce.number().int().positive()

/** The settings of the artifact store. */
export const ArtifactSettings = z.object({
  ADUANA_DATA_DIR: z.string().min(1).default('.data'),
  /** A bucket and a prefix; by default the folder `artifacts` of the data folder. */
  ADUANA_ARTIFACTS_URL: z
    .string()
    .regex(
      /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9][A-Za-z0-9._-]*)*\/?$/,
      'must be a bucket and a prefix, such as s3://bucket/prefix',
    )
    .optional(),
  /** `AES256`, or the id, alias or ARN of a KMS key; by default that of the bucket. */
  ADUANA_S3_ENCRYPTION: z.string().min(1).optional(),
  /** Address buckets by path, as services other than AWS often require. */
  ADUANA_S3_PATH_STYLE: z.stringbool().default(false),
  AWS_REGION: z.string().min(1).optional(),
  /** Address of a service other than AWS. */
  AWS_ENDPOINT_URL: z
    .url({ protocol: /^https?$/, error: 'must be an address, such as https://host:9000' })
    .optional(),
})
export type ArtifactSettings = z.infer<typeof ArtifactSettings>

/** Requires AWS_REGION if a setting names a bucket, a topic or a queue. */
function needsRegion(settings: object & ArtifactSettings, context: z.RefinementCtx): void {
  if (settings.AWS_REGION !== undefined) return
  const names: Readonly<Record<string, string>> = {
    ADUANA_ARTIFACTS_URL: 'a bucket',
    ADUANA_SNS_TOPIC_ARN: 'a topic',
    ADUANA_SNS_FIFO_TOPIC_ARN: 'a topic',
    ADUANA_SQS_QUEUE_URLS: 'a queue',
  }
  const given = Object.entries(settings).filter(([, value]) => value !== undefined && String(value) !== '')
  for (const [name] of given)
    if (name in names)
      context.addIssue({
        code: 'custom',
        path: ['AWS_REGION'],
        message: `is required, because ${name} names ${names[name]}`,
      })
}

/** Several values in one setting, separated by commas. */
const Listed = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean),
  )

const QueueUrl = z.url({
  protocol: /^https?$/,
  error: 'must be the address of a queue, such as https://sqs.us-east-1.amazonaws.com/123456789012/aduana',
})

const TopicArn = (form: RegExp, example: string) =>
  z.string().regex(form, `must be the ARN of a topic, such as ${example}`)

/** The settings of every process. */
export const CommonSettings = ArtifactSettings.extend({
  DATABASE_URL: z.url({
    protocol: /^postgres(ql)?$/,
    error: 'must be an address, such as postgres://user:password@host:5432/aduana',
  }),
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: 'must be an address, such as redis://host:6379' }),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  LOG_PRETTY: z.stringbool().default(false),
  /** Prefix of every key in Redis. The braces keep all keys of a flow in one slot of a cluster. */
  QUEUE_PREFIX: z
    .string()
    .regex(/^\{[a-z0-9:_-]+\}$/, 'must be lower-case letters in braces, such as {aduana}')
    .default('{aduana}'),
  /** The process ends when the process with this id ends. */
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
  /** Bytes; 5 GiB by default. */
  MAX_FILE_SIZE: z.coerce
    .number()
    .int()
    .positive()
    .default(5 * 1024 ** 3),
  /** Seconds after which an idle connection is closed and its upload ends. */
  ADUANA_IDLE_SECONDS: z.coerce.number().int().min(1).max(86_400).default(120),
  /** Folder of incoming uploads; by default inside the artifact store. */
  UPLOAD_DIR: z.string().min(1).optional(),
  /** Maximum number of waiting jobs; above it the API returns 429. */
  ADUANA_MAX_QUEUED: z.coerce.number().int().positive().default(1000),
  /** Of these, jobs of one tenant; four fifths by default. */
  ADUANA_MAX_QUEUED_PER_TENANT: z.coerce.number().int().positive().optional(),
  /** Maximum bytes of files and rejects of one tenant; 1 TiB by default. Above it the API returns 507. */
  ADUANA_MAX_KEPT_BYTES_PER_TENANT: z.coerce
    .number()
    .int()
    .positive()
    .default(1024 ** 4),
  /** Other origins that may write or open a WebSocket, separated by commas. */
  ADUANA_ORIGINS: Listed,
  /** Proxies whose X-Forwarded-* headers are trusted: addresses, networks or `loopback`, separated by commas. */
  ADUANA_TRUSTED_PROXIES: z.string().min(1).default('loopback'),
  ADUANA_DATABASE_POOL: z.coerce.number().int().positive().default(10),
}).superRefine(needsRegion)
export type ApiSettings = z.infer<typeof ApiSettings>

/** The settings of a worker. */
export const WorkerSettings = CommonSettings.extend({
  /** Stages that this worker serves, separated by commas; all by default. */
  ADUANA_STAGES: z.string().optional(),
  /** Concurrent jobs of each stage, such as `parse=2,load=1`; other stages keep their default. */
  ADUANA_STAGE_CONCURRENCY: z.string().default(''),
  /** Concurrent metric computations of this worker; 0 for none. */
  ADUANA_METRIC_CONCURRENCY: z.coerce.number().int().min(0).max(100).default(1),
  /** Topic to which run requests are published; none by default. */
  ADUANA_SNS_TOPIC_ARN: TopicArn(
    /^arn:[a-z-]+:sns:[a-z0-9-]+:\d+:[\w-]{1,256}$/,
    'arn:aws:sns:us-east-1:123456789012:aduana-runs',
  ).optional(),
  ADUANA_SNS_FIFO_TOPIC_ARN: TopicArn(
    /^arn:[a-z-]+:sns:[a-z0-9-]+:\d+:[\w-]{1,251}\.fifo$/,
    'arn:aws:sns:us-east-1:123456789012:aduana-runs.fifo',
  ).optional(),
  /** Queues of dataset updates and of events of external runners, separated by commas. */
  ADUANA_SQS_QUEUE_URLS: Listed.pipe(z.array(QueueUrl)),
  /** Visibility timeout: how long a received message is hidden from other workers, unless it is extended. */
  ADUANA_SQS_VISIBILITY_SECONDS: z.coerce.number().int().min(3).max(43_200).default(60),
  /** Maximum number of concurrent jobs in the whole fleet. */
  ADUANA_MAX_ACTIVE: z.coerce.number().int().positive().default(8),
  /** Maximum number of concurrent jobs of one tenant. */
  ADUANA_MAX_ACTIVE_PER_TENANT: z.coerce.number().int().positive().default(8),
  ADUANA_ENGINE_MEMORY_MB: Megabytes.default(384),
  ADUANA_ENGINE_THREADS: z.coerce.number().int().positive().default(2),
  /** Maximum size of an unpacked file, in bytes. */
  ADUANA_MAX_UNPACKED_SIZE: z.coerce
    .number()
    .int()
    .positive()
    .default(20 * 1024 ** 3),
  ADUANA_DATABASE_POOL: z.coerce.number().int().positive().default(12),
  /** Days for which events are kept. The database refuses to delete events of the last week. */
  ADUANA_EVENT_DAYS: z.coerce.number().int().min(7).max(36_500).default(30),
  /** Days for which ended metric runs, stage attempts, previews and dataset updates are kept. */
  ADUANA_HISTORY_DAYS: z.coerce.number().int().min(7).max(36_500).default(90),
  /** A worker exits when jobs wait that it could take, and it takes none for this many seconds. */
  ADUANA_STUCK_SECONDS: z.coerce.number().int().positive().default(30),
  /** A thread kills the worker when its event loop is blocked for this many seconds; 0 for never. */
  ADUANA_WATCHDOG_SECONDS: z.coerce.number().int().min(0).default(45),
  /** Port of /health/live and /health/ready of a worker; none by default. */
  ADUANA_HEALTH_PORT: z.coerce.number().int().min(1).max(65_535).optional(),
}).superRefine(needsRegion)
export type WorkerSettings = z.infer<typeof WorkerSettings>

/** Some settings are missing or invalid; the message lists each with what was expected. */
export class SettingsError extends Error {
  constructor(problems: string[]) {
    super(`The settings are invalid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'SettingsError'
  }
}

/**
 * Parses settings from environment variables. An empty variable counts as unset.
 * @throws SettingsError with every missing or invalid setting
 */
export function readSettings<T extends z.ZodType>(
  schema: T,
  environment: Record<string, string | undefined>,
): z.output<T> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const read = readInput(schema, given)
  if (!read.problems) return read.data
  throw new SettingsError(read.problems.map(({ field, message }) => `${field} ${message}`))
}
