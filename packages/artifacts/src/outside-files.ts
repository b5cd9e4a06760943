import type { Readable } from 'node:stream'
import type { ArtifactSettings } from '@aduana/runtime/config'
import { createS3Client } from './s3-client.ts'
import { openObject } from './s3-read.ts'

/** Files that others have left in buckets of theirs. */
export interface OutsideFiles {
  /** Read `s3://bucket/key` from its beginning. @throws StoreError `missing`, `refused`, `unavailable` */
  open(url: string): Promise<Readable>
  close(): void
}

/** What is to be read with the credentials of this process; undefined when the settings name no region. */
export function openOutsideFiles(settings: ArtifactSettings): OutsideFiles | undefined {
  const { AWS_REGION: region, AWS_ENDPOINT_URL: endpoint, ADUANA_S3_PATH_STYLE: pathStyle } = settings
  if (region === undefined) return undefined
  const client = createS3Client({ region, endpoint, pathStyle })
  return {
    open: (url) => {
      const [bucket = '', ...key] = url.slice('s3://'.length).split('/')
      return openObject(client, bucket, key.join('/'))
    },
    close: () => client.destroy(),
  }
}
