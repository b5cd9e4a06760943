import { z } from 'zod'
import { MetricCode } from './expression.ts'

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex')
const S3Url = z
  .string()
  .max(1200)
  .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/.+$/, 'must be an object, such as s3://bucket/key')

/** Where a manifest lies, and the SHA-256 of its bytes. */
export const ManifestPointer = z.strictObject({ url: S3Url, sha256: Sha256 })
export type ManifestPointer = z.infer<typeof ManifestPointer>

/** The dataset into which the results of runs are imported. */
export const RESULTS_DATASET = 'metric_results'

/** Larger manifests are refused: this is many thousand files. */
export const MAX_MANIFEST_BYTES = 8 * 1024 * 1024

/**
 * What a runner outside has computed: files in S3 that together hold all values of a run. Each is CSV in UTF-8, may be
 * compressed with gzip, and has the header of the first.
 */
export const ResultManifest = z.strictObject({
  runId: z.uuid(),
  attempt: z.int().positive(),
  metric: MetricCode,
  /** Values in all files together. */
  rowCount: z.int().nonnegative(),
  files: z
    .array(
      z.strictObject({
        url: S3Url,
        /** Of the bytes as they lie there. */
        sha256: Sha256,
        bytes: z.int().positive(),
        rows: z.int().nonnegative(),
      }),
    )
    .min(1)
    .max(10_000),
})
export type ResultManifest = z.infer<typeof ResultManifest>

/** A manifest as a run has announced it, with what it must say. */
export const AnnouncedManifest = ManifestPointer.extend({
  runId: z.uuid(),
  attempt: z.int().positive(),
  metric: MetricCode,
})
export type AnnouncedManifest = z.infer<typeof AnnouncedManifest>
