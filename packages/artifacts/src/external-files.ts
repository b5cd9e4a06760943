import type { Readable } from 'node:stream'
import type { ArtifactSettings } from '@aduana/runtime/config'

/** Files that others have left in buckets of theirs. */
export interface ExternalFiles {
  /** Read `s3://bucket/key` from its beginning. @throws StoreError `missing`, `refused`, `unavailable` */
  open(url: string): Promise<Readable>
  close(): void
}

/** What is to be read with the credentials of this process; undefined when the settings name no region. */
export async function openExternalFiles(settings: ArtifactSettings): Promise<ExternalFiles | undefined> {
  const { AWS_REGION: region, AWS_ENDPOINT_URL: endpoint, ADUANA_S3_PATH_STYLE: pathStyle } = settings
  if (region === undefined) return undefined
  // Loaded only where it is needed, as the client of an artifact store in S3 is.
  const [{ createS3Client }, { openObject }] = await Promise.all([
    import('./s3-client.ts'),
    import('./s3-read.ts'),
  ])
  const client = createS3Client({ region, endpoint, pathStyle })
  return {
    open: (url) => {
      const [bucket = '', ...key] = url.slice('s3://'.length).split('/')
      return openObject(client, bucket, key.join('/'))
    },
    close: () => client.destroy(),
  }
}
