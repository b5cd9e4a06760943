import { randomUUID } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { buildApp } from 'fauxqs'

/**
 * An in-memory S3 of one test in this process, with SNS and SQS at the same address. It does not validate checksums,
 * signatures and conditions; those are tested against a server with scripted responses.
 */
export interface TestS3 {
  endpoint: string
  /** Creates an empty bucket and returns its name. */
  addBucket(): Promise<string>
  /** Returns the settings with which the programs use it. With a bucket, artifacts are stored there. */
  environment(bucket?: string, prefix?: string): Record<string, string>
  /** Writes an object to a bucket, like another program, and returns its address. */
  put(bucket: string, key: string, body: string | Buffer): Promise<string>
  /** Returns the keys of a bucket, in order. */
  keys(bucket: string): Promise<string[]>
  /** Makes every request, or those that `unavailable` selects, fail with 503; `false` ends this. */
  setUnavailable(unavailable: boolean | ((request: AwsRequest) => boolean)): void
  stop(): Promise<void>
}

/** The service of a request, and its action if the service is SQS. */
export interface AwsRequest {
  service: 's3' | 'sns' | 'sqs'
  action: string
}

/** Credentials that the emulator accepts. */
export const TEST_CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test secret' }
export const TEST_REGION = 'us-east-1'

/** Starts an S3 on a free port. */
export async function createTestS3(): Promise<TestS3> {
  const server = buildApp({ logger: false })
  // The emulator cannot parse checksums in the list of parts, and would create an empty object.
  server.addHook('preHandler', async (request) => {
    const completes = request.method === 'POST' && request.url.includes('uploadId=')
    if (completes && Buffer.isBuffer(request.body))
      request.body = Buffer.from(request.body.toString().replace(/<(Checksum\w+)>[^<]*<\/\1>/g, ''))
  })
  let unavailable: (request: AwsRequest) => boolean = () => false
  server.addHook('onRequest', async (request, reply) => {
    if (unavailable(awsRequestOf(request.headers)))
      await reply.status(503).type('application/xml').send('<Error><Code>SlowDown</Code></Error>')
  })
  const endpoint = await server.listen({ port: 0, host: '127.0.0.1' })
  const client = new S3Client({
    endpoint,
    region: TEST_REGION,
    forcePathStyle: true,
    credentials: TEST_CREDENTIALS,
  })
  return {
    endpoint,
    addBucket: async () => {
      const Bucket = `test-${randomUUID()}`
      await client.send(new CreateBucketCommand({ Bucket }))
      return Bucket
    },
    environment: (bucket, prefix) => ({
      ...(bucket === undefined
        ? {}
        : { ADUANA_ARTIFACTS_URL: `s3://${bucket}${prefix ? `/${prefix}` : ''}` }),
      ADUANA_S3_PATH_STYLE: 'true',
      AWS_REGION: TEST_REGION,
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: TEST_CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: TEST_CREDENTIALS.secretAccessKey,
    }),
    put: async (Bucket, Key, Body) => {
      await client.send(new PutObjectCommand({ Bucket, Key, Body }))
      return `s3://${Bucket}/${Key}`
    },
    keys: async (Bucket) => {
      const keys: string[] = []
      let ContinuationToken: string | undefined
      do {
        const page = await client.send(new ListObjectsV2Command({ Bucket, ContinuationToken }))
        for (const { Key } of page.Contents ?? []) if (Key !== undefined) keys.push(Key)
        ContinuationToken = page.NextContinuationToken
      } while (ContinuationToken !== undefined)
      return keys.sort()
    },
    setUnavailable: (wanted) => {
      unavailable = typeof wanted === 'function' ? wanted : () => wanted
    },
    stop: async () => {
      client.destroy()
      await server.close()
    },
  }
}

function awsRequestOf(headers: Readonly<Record<string, unknown>>): AwsRequest {
  const [, action = ''] = String(headers['x-amz-target'] ?? '').split('.')
  if (action !== '') return { service: 'sqs', action }
  const form = String(headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded')
  return { service: form ? 'sns' : 's3', action: '' }
}

/** Returns a function that lists the multipart uploads that a client has begun and neither completed nor aborted. */
export function watchUploads(client: S3Client): () => string[] {
  const open = new Map<string, string>()
  client.middlewareStack.add(
    (next) => async (given) => {
      const result = await next(given)
      const { input } = given
      const { output } = result
      if ('UploadId' in output && typeof output.UploadId === 'string' && 'Key' in input)
        open.set(output.UploadId, `upload of ${String(input.Key)}`)
      return result
    },
    { step: 'initialize', name: 'watchUploads' },
  )
  client.middlewareStack.add(
    (next, context) => async (given) => {
      const result = await next(given)
      const { input } = given
      const ends = [CompleteMultipartUploadCommand.name, AbortMultipartUploadCommand.name]
      if (ends.includes(String(context.commandName)) && 'UploadId' in input)
        open.delete(String(input.UploadId))
      return result
    },
    { step: 'initialize', name: 'watchEnds' },
  )
  return () => [...open.values()]
}

/** Sets the emulator's credentials in the environment of this process. */
export function useTestCredentials(): void {
  process.env.AWS_ACCESS_KEY_ID = TEST_CREDENTIALS.accessKeyId
  process.env.AWS_SECRET_ACCESS_KEY = TEST_CREDENTIALS.secretAccessKey
}
