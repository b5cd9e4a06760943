import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { DeleteObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import type { S3Settings } from './s3-client.ts'
import { withStoreErrors } from './s3-errors.ts'
import { openObject } from './s3-read.ts'
import { upload } from './s3-upload.ts'
import { type ArtifactStore, checkKey, type Stored, StoreError } from './store.ts'

/**
 * Creates a store in a bucket of S3 or a compatible service. A key becomes visible when its upload is complete. The caller
 * destroys the client.
 */
export function createS3Store(client: S3Client, settings: S3Settings): ArtifactStore {
  const { bucket: Bucket, encryption } = settings
  const before = settings.prefix === '' ? '' : `${settings.prefix}/`
  const place = (key: string) => ({ client, Bucket, Key: `${before}${checkKey(key)}`, encryption })
  return {
    put: (key, source, options) => upload(place(key), source, { maxBytes: options?.maxBytes }),
    putFile: async (key, path) => {
      const target = place(key)
      const { size } = await stat(path)
      return upload(target, createReadStream(path, { highWaterMark: 1024 * 1024 }), { length: size })
    },
    open: async (key) => openObject(client, Bucket, place(key).Key),
    fetch: async (key, path, expected) => {
      const { Key } = place(key)
      const read = () => download({ client, Bucket, Key }, path, expected)
      // Another read corrects damage during the transfer.
      await read().catch((error: unknown) => {
        if (error instanceof StoreError && error.code === 'damaged') return read()
        throw error
      })
    },
    list: (prefix) => listObjects({ client, Bucket, before }, checkKey(prefix)),
    remove: async (key) => {
      const { Key } = place(key)
      await withStoreErrors(client.send(new DeleteObjectCommand({ Bucket, Key })), `Removing ${Key}`)
    },
  }
}

/** Downloads an object to a file, which appears under its name when it is complete and verified. */
async function download(
  { client, Bucket, Key }: { client: S3Client; Bucket: string; Key: string },
  path: string,
  expected: Stored | undefined,
): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  const hash = createHash('sha256')
  let bytes = 0
  try {
    await pipeline(
      await openObject(client, Bucket, Key),
      async function* (source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          hash.update(chunk)
          bytes += chunk.length
          yield chunk
        }
      },
      createWriteStream(temporary),
    )
    if (expected && (bytes !== expected.bytes || hash.digest('hex') !== expected.sha256))
      throw new StoreError(
        'damaged',
        `The file "${Key}" in the store is damaged: its size or checksum differs.`,
      )
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}

async function* listObjects(
  { client, Bucket, before }: { client: S3Client; Bucket: string; before: string },
  prefix: string,
): AsyncGenerator<{ key: string; storedAt: Date }> {
  const Prefix = `${before}${prefix}/`
  let ContinuationToken: string | undefined
  do {
    const page = await withStoreErrors(
      client.send(new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken })),
      `Listing ${Prefix}`,
    )
    for (const { Key, LastModified } of page.Contents ?? [])
      if (Key !== undefined && LastModified) yield { key: Key.slice(before.length), storedAt: LastModified }
    ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined
  } while (ContinuationToken !== undefined)
}
