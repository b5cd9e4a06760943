import { join, resolve } from 'node:path'
import type { Database } from '@aduana/db/database'
import type { ArtifactSettings } from '@aduana/runtime/config'
import type { Logger } from '@aduana/runtime/logger'
import { removeAbandoned } from './abandoned.ts'
import { createDiskStore } from './disk-store.ts'
import { claimStore, folderLocation } from './marker.ts'
import { assertWritable, restrictFolder } from './own-folder.ts'
import type { S3Settings } from './s3-client.ts'
import type { OpenStore } from './store.ts'

/** What `openArtifactStore` needs besides the settings. */
export interface StoreContext {
  db: Database
  logger: Logger
  /** Folder of incoming files of a disk store; by default inside it. */
  incoming?: string | undefined
}

/**
 * Opens the artifact store of the settings, in S3 or a folder.
 * @throws StoreError `foreign` when it belongs to another installation, or this one keeps its files elsewhere
 */
export async function openArtifactStore(
  settings: ArtifactSettings,
  surroundings: StoreContext,
): Promise<OpenStore> {
  const s3 = s3Settings(settings)
  if (s3 === undefined) return openDisk(settings, surroundings)
  // Loaded on demand: the S3 client slows the start and takes about 12 MB.
  const { openS3Store } = await import('./open-s3-store.ts')
  return openS3Store(s3, surroundings.db)
}

/** Returns the settings of the bucket; undefined when artifacts are stored in a folder. */
function s3Settings(settings: ArtifactSettings): S3Settings | undefined {
  if (settings.ADUANA_ARTIFACTS_URL === undefined || settings.AWS_REGION === undefined) return undefined
  const [bucket = '', ...prefix] = settings.ADUANA_ARTIFACTS_URL.slice('s3://'.length)
    .split('/')
    .filter(Boolean)
  return {
    bucket,
    prefix: prefix.join('/'),
    region: settings.AWS_REGION,
    endpoint: settings.AWS_ENDPOINT_URL,
    pathStyle: settings.ADUANA_S3_PATH_STYLE,
    encryption: settings.ADUANA_S3_ENCRYPTION,
  }
}

async function openDisk(
  settings: ArtifactSettings,
  { db, logger, incoming }: StoreContext,
): Promise<OpenStore> {
  const root = join(resolve(settings.ADUANA_DATA_DIR), 'artifacts')
  await assertWritable(root, () => claimStore(db, folderLocation(root)))
  await restrictFolder(root, logger)
  const files = await removeAbandoned(root, { incoming })
  if (files > 0) logger.info({ event: 'store.abandoned_removed', files })
  return { store: createDiskStore(root, { incoming }), close: () => undefined }
}
