import { S3Client } from '@aws-sdk/client-s3'

/** How S3 is reached. */
export interface S3Reach {
  region: string
  /** Address of a service other than AWS. */
  endpoint?: string | undefined
  /** Address the bucket as the first part of the path, not as part of the host name. */
  pathStyle?: boolean
}

/** Where an S3 store lies, and how it is reached. */
export interface S3Settings extends S3Reach {
  bucket: string
  /** Path segments before every key, without slashes at its ends; empty for none. */
  prefix: string
  /** `AES256`, or the id, alias or ARN of a KMS key. What the bucket does by itself, unless said. */
  encryption?: string | undefined
}

const CONNECT_MS = 5000
/** A connection on which nothing moves is given up, and the request tried again. */
const IDLE_MS = 30_000
const TRIES = 5

/** A client of the SDK: credentials by its usual chain, bounded waits, five tries with growing pauses. */
export function createS3Client(settings: S3Reach): S3Client {
  return new S3Client({
    region: settings.region,
    forcePathStyle: settings.pathStyle ?? false,
    maxAttempts: TRIES,
    retryMode: 'standard',
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: IDLE_MS,
      httpAgent: { keepAlive: true, maxSockets: 64 },
      httpsAgent: { keepAlive: true, maxSockets: 64 },
    },
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
  })
}
