import type { Readable } from 'node:stream'
import type { ArtifactSettings } from '@aduana/runtime/config'

/** Files in buckets of external runners. */
export interface ExternalFiles {
  /** Returns the content of `s3://bucket/key`. @throws StoreError `missing`, `refused`, `unavailable` */
  open(url: string): Promise<Readable>
  close(): void
}

/** Opens external files, with the credentials of this process; undefined when the settings have no region. */
export async function openExternalFiles(settings: ArtifactSettings): Promise<ExternalFiles | undefined> {
  const { AWS_REGION: region, AWS_ENDPOINT_URL: endpoint, ADUANA_S3_PATH_STYLE: pathStyle } = settings
  if (region === undefined) return undefined
  // Loaded on demand, like the S3 client of an artifact store.
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
