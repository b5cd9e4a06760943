import { z } from 'zod'
import { MetricCode } from './expression.ts'

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex')
const S3Url = z
  .string()
  .max(1200)
  .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/.+$/, 'must be an object, such as s3://bucket/key')

/** The address of a manifest, and the SHA-256 of its bytes. */
export const ManifestPointer = z.strictObject({ url: S3Url, sha256: Sha256 })
export type ManifestPointer = z.infer<typeof ManifestPointer>

/** The dataset of imported results. */
export const RESULTS_DATASET = 'metric_results'

/** Maximum size of a manifest: enough for many thousand files. */
export const MAX_MANIFEST_BYTES = 8 * 1024 * 1024

/**
 * The results of an external runner: files in S3 that together contain all values of a run. Each is CSV in UTF-8, optionally
 * compressed with gzip. All have the same header.
 */
export const ResultManifest = z.strictObject({
  runId: z.uuid(),
  attempt: z.int().positive(),
  metric: MetricCode,
  /** Number of values in all files. */
  rowCount: z.int().nonnegative(),
  files: z
    .array(
      z.strictObject({
        url: S3Url,
        /** Of the stored bytes. */
        sha256: Sha256,
        bytes: z.int().positive(),
        rows: z.int().nonnegative(),
      }),
    )
    .min(1)
    .max(10_000),
})
export type ResultManifest = z.infer<typeof ResultManifest>

/** An announced manifest, with the values that it must contain. */
export const AnnouncedManifest = ManifestPointer.extend({
  runId: z.uuid(),
  attempt: z.int().positive(),
  metric: MetricCode,
})
export type AnnouncedManifest = z.infer<typeof AnnouncedManifest>
