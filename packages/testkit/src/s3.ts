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
 * An S3 of a test's own, in memory, in this process; SNS and SQS are at the same address. It holds what it is told, but validates no checksum, no signature
 * and no condition: what depends on those is tested against a server that answers on purpose.
 */
export interface TestS3 {
  endpoint: string
  /** A new, empty bucket. */
  addBucket(): Promise<string>
  /** The settings with which the programs of the product reach it; with a bucket, their artifacts are kept there. */
  environment(bucket?: string, prefix?: string): Record<string, string>
  /** Put an object into a bucket, as somebody else does; its address. */
  put(bucket: string, key: string, body: string | Buffer): Promise<string>
  /** The keys of a bucket, in order. */
  keys(bucket: string): Promise<string[]>
  /** Answer every request, or those chosen by service and action, with 503; or all as usual again. */
  setUnavailable(unavailable: boolean | ((request: AskedOfAws) => boolean)): void
  stop(): Promise<void>
}

/** What a request is: the service, and the action of SQS that it wants. */
export interface AskedOfAws {
  service: 's3' | 'sns' | 'sqs'
  action: string
}

/** What the emulator takes for credentials. */
export const TEST_CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test secret' }
export const TEST_REGION = 'us-east-1'

/** Start one on a free port. */
export async function createTestS3(): Promise<TestS3> {
  const server = buildApp({ logger: false })
  // It does not know the list of parts with their checksums, and would make an empty object of it.
  server.addHook('preHandler', async (request) => {
    const completes = request.method === 'POST' && request.url.includes('uploadId=')
    if (completes && Buffer.isBuffer(request.body))
      request.body = Buffer.from(request.body.toString().replace(/<(Checksum\w+)>[^<]*<\/\1>/g, ''))
  })
  let unavailable: (request: AskedOfAws) => boolean = () => false
  server.addHook('onRequest', async (request, reply) => {
    if (unavailable(askedOf(request.headers)))
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

function askedOf(headers: Readonly<Record<string, unknown>>): AskedOfAws {
  const [, action = ''] = String(headers['x-amz-target'] ?? '').split('.')
  if (action !== '') return { service: 'sqs', action }
  const form = String(headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded')
  return { service: form ? 'sns' : 's3', action: '' }
}

/** The uploads in parts that a client has begun and neither completed nor given up; the emulator lists none. */
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

/** Give this process the emulator's credentials, as an operator gives them to the programs. */
export function useTestCredentials(): void {
  process.env.AWS_ACCESS_KEY_ID = TEST_CREDENTIALS.accessKeyId
  process.env.AWS_SECRET_ACCESS_KEY = TEST_CREDENTIALS.secretAccessKey
}
