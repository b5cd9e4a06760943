import { randomUUID } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import type { S3Settings } from './s3-client.ts'
import { answered, s3ErrorName } from './s3-errors.ts'
import { openObject } from './s3-read.ts'
import { StoreError } from './store.ts'

/**
 * A prefix of a bucket belongs to one installation: it carries a marker that PostgreSQL also knows, as the folder of a
 * disk store does. Processes of one installation must not claim at once.
 *
 * @param remember stores the marker if the database has none yet, and answers the one that the database has
 * @throws StoreError `foreign` when the prefix and the database do not belong together
 */
export async function claimS3Store(
  client: S3Client,
  settings: Pick<S3Settings, 'bucket' | 'prefix'>,
  remember: (marker: string) => Promise<string>,
): Promise<void> {
  const { bucket, prefix } = settings
  const Key = prefix === '' ? 'store-id' : `${prefix}/store-id`
  const marker = (await read(client, bucket, Key)) ?? (await make(client, bucket, Key))
  if ((await remember(marker)) !== marker)
    throw new StoreError(
      'foreign',
      `s3://${bucket}/${prefix} is not the artifact store of this database. Point ADUANA_ARTIFACTS_URL at the bucket and prefix that every process of this installation shares.`,
    )
}

async function make(client: S3Client, Bucket: string, Key: string): Promise<string> {
  const put = new PutObjectCommand({ Bucket, Key, Body: randomUUID(), IfNoneMatch: '*' })
  await answered(client.send(put), `Claiming ${Key}`).catch((error: unknown) => {
    // Another installation has made its own at this moment.
    const name = s3ErrorName(error)
    if (name !== 'PreconditionFailed' && name !== 'ConditionalRequestConflict') throw error
  })
  const marker = await read(client, Bucket, Key)
  if (marker === undefined) throw new StoreError('unavailable', `The marker ${Key} is gone again.`)
  return marker
}

async function read(client: S3Client, Bucket: string, Key: string): Promise<string | undefined> {
  try {
    return (await text(await openObject(client, Bucket, Key))).trim()
  } catch (error) {
    if (error instanceof StoreError && error.code === 'missing') return undefined
    throw error
  }
}
