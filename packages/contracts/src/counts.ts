import { z } from 'zod'

const Count = z.int().nonnegative().nullable()

/**
 * The counts of an import; null while unknown.
 * Conservation (G1): `records = loaded + unchanged + quarantined + duplicates + conflicts`, and `loaded = inserted + updated`.
 * `conflicts` is null for old imports, which counted conflicts as duplicates.
 */
export const Counts = z.strictObject({
  records: Count,
  loaded: Count,
  inserted: Count,
  updated: Count,
  unchanged: Count,
  removed: Count,
  quarantined: Count,
  duplicates: Count,
  conflicts: Count,
})
export type Counts = z.infer<typeof Counts>
