import { z } from 'zod'

const Count = z.int().nonnegative().nullable()

/**
 * The figures of an import; null where not known yet.
 * Conservation (G1): `records = loaded + unchanged + quarantined + duplicates + conflicts`, and `loaded = inserted + updated`.
 * Imports of before there were conflicts have null there; they counted them as duplicates.
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
