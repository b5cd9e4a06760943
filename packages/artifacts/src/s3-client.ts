import { S3Client } from '@aws-sdk/client-s3'

/** How to reach S3. */
export interface S3Connection {
  region: string
  /** Address of a service other than AWS. */
  endpoint?: string | undefined
  /** Address the bucket as the first part of the path, not as part of the host name. */
  pathStyle?: boolean
}

/** The location of an S3 store, and how to reach it. */
export interface S3Settings extends S3Connection {
  bucket: string
  /** Path segments before every key, without slashes at its ends; empty for none. */
  prefix: string
  /** `AES256`, or the id, alias or ARN of a KMS key; by default that of the bucket. */
  encryption?: string | undefined
}

const CONNECT_TIMEOUT_MS = 5000
/** An idle connection is closed, and the request retried. */
const SOCKET_TIMEOUT_MS = 30_000
const MAX_ATTEMPTS = 5

/** Creates a client with credentials from the SDK's default chain, timeouts, and five attempts with growing pauses. */
export function createS3Client(settings: S3Connection): S3Client {
  return new S3Client({
    region: settings.region,
    forcePathStyle: settings.pathStyle ?? false,
    maxAttempts: MAX_ATTEMPTS,
    retryMode: 'standard',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: SOCKET_TIMEOUT_MS,
      httpAgent: { keepAlive: true, maxSockets: 64 },
      httpsAgent: { keepAlive: true, maxSockets: 64 },
    },
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
  })
}
