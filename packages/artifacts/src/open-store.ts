import { join, resolve } from 'node:path'
import { claimAlone, knownStores, rememberStore } from '@aduana/db/artifact-stores'
import type { Database } from '@aduana/db/database'
import type { ArtifactSettings } from '@aduana/runtime/config'
import type { Logger } from '@aduana/runtime/logger'
import { removeAbandoned } from './abandoned.ts'
import { createDiskStore } from './disk-store.ts'
import { claimDiskStore } from './marker.ts'
import { createS3Client, type S3Settings } from './s3-client.ts'
import { claimS3Store } from './s3-marker.ts'
import { createS3Store } from './s3-store.ts'
import { type ArtifactStore, StoreError } from './store.ts'

/** A store that belongs to this installation, and how to let go of it. */
export interface OpenStore {
  store: ArtifactStore
  close(): void
}

/** What `openArtifactStore` needs beside the settings. */
export interface StoreSurroundings {
  db: Database
  logger: Logger
  /** Where files of a disk store arrive; inside it unless said. */
  incoming?: string | undefined
}

/**
 * Open the artifact store that the settings name, S3 or a folder, and make sure that it is this installation's.
 * @throws StoreError `foreign` when it belongs to another installation, or this one keeps its files elsewhere
 */
export async function openArtifactStore(
  settings: ArtifactSettings,
  surroundings: StoreSurroundings,
): Promise<OpenStore> {
  const s3 = s3Settings(settings)
  return s3 ? openS3(s3, surroundings) : openDisk(settings, surroundings)
}

/** The bucket that the settings name; undefined when artifacts are kept in a folder. */
export function s3Settings(settings: ArtifactSettings): S3Settings | undefined {
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

async function openS3(settings: S3Settings, { db }: StoreSurroundings): Promise<OpenStore> {
  const client = createS3Client(settings)
  try {
    await claim(db, 's3', (remember) => claimS3Store(client, settings, remember))
  } catch (error) {
    client.destroy()
    throw error
  }
  return { store: createS3Store(client, settings), close: () => client.destroy() }
}

async function openDisk(
  settings: ArtifactSettings,
  { db, logger, incoming }: StoreSurroundings,
): Promise<OpenStore> {
  const root = join(resolve(settings.ADUANA_DATA_DIR), 'artifacts')
  await claim(db, 'disk', (remember) => claimDiskStore(root, remember))
  const files = await removeAbandoned(root, { incoming })
  if (files > 0) logger.info({ event: 'store.abandoned_removed', files })
  return { store: createDiskStore(root, { incoming }), close: () => undefined }
}

type Kind = 'disk' | 's3'
type Remember = (marker: string) => Promise<string>

/** All files of a database are in one store: a process with another one would look for them in vain. */
async function claim(db: Database, kind: Kind, work: (remember: Remember) => Promise<void>): Promise<void> {
  await claimAlone(db, async (tx) => {
    const other = (await knownStores(tx)).find((name) => name !== kind)
    if (other !== undefined)
      throw new StoreError(
        'foreign',
        `The files of this database are kept in ${PLACES[other] ?? other}, not in ${PLACES[kind]}. Give every process the same ADUANA_ARTIFACTS_URL. To move the files, see docs/guides/production.md.`,
      )
    await work((marker) => rememberStore(tx, kind, marker))
  })
}

const PLACES: Readonly<Record<string, string>> = { disk: 'a folder', s3: 'a bucket' }
