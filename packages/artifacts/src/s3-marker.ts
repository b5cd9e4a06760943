import { text } from 'node:stream/consumers'
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import type { StoreLocation } from './marker.ts'
import type { S3Settings } from './s3-client.ts'
import { s3ErrorName, withStoreErrors } from './s3-errors.ts'
import { openObject } from './s3-read.ts'
import { StoreError } from './store.ts'

/** Returns the prefix of an S3 store as a location. */
export function prefixLocation(
  client: S3Client,
  settings: Pick<S3Settings, 'bucket' | 'prefix'>,
): StoreLocation {
  const { bucket: Bucket, prefix } = settings
  const Key = prefix === '' ? 'store-id' : `${prefix}/store-id`
  return {
    kind: 's3',
    title: `s3://${Bucket}${prefix === '' ? '' : `/${prefix}`}`,
    advice:
      'Point ADUANA_ARTIFACTS_URL at the bucket and prefix that every process of this installation shares.',
    read: async () => {
      try {
        return (await text(await openObject(client, Bucket, Key))).trim()
      } catch (error) {
        if (error instanceof StoreError && error.code === 'missing') return undefined
        throw error
      }
    },
    write: async (marker) => {
      const put = new PutObjectCommand({ Bucket, Key, Body: marker, IfNoneMatch: '*' })
      await withStoreErrors(client.send(put), `Claiming ${Key}`).catch((error: unknown) => {
        // A marker exists, for example because only the response to the first attempt was lost.
        const name = s3ErrorName(error)
        if (name !== 'PreconditionFailed' && name !== 'ConditionalRequestConflict') throw error
      })
    },
  }
}
