import type { Database } from '@aduana/db/database'
import { claimStore } from './marker.ts'
import { createS3Client, type S3Settings } from './s3-client.ts'
import { prefixLocation } from './s3-marker.ts'
import { createS3Store } from './s3-store.ts'
import type { OpenStore } from './store.ts'

/** Opens a store in S3. @throws StoreError `foreign` when it belongs to another installation */
export async function openS3Store(settings: S3Settings, db: Database): Promise<OpenStore> {
  const client = createS3Client(settings)
  try {
    await claimStore(db, prefixLocation(client, settings))
  } catch (error) {
    client.destroy()
    throw error
  }
  return { store: createS3Store(client, settings), close: () => client.destroy() }
}
