import { z } from 'zod'

const Count = z.int().nonnegative()

/**
 * How a column of one file was read where its cells allow several ways: what stands before decimals, or whether the
 * day or the month stands first.
 */
export const ColumnDecision = z.strictObject({
  column: z.string(),
  about: z.enum(['decimal_mark', 'day_month']),
  reading: z.enum(['point', 'comma', 'day_first', 'month_first']),
  /**
   * declared: the dataset allows no other. cells: cells that can be read in one way only. nearness: the days are close
   * together when they are read so, and not otherwise. assumed: nothing in the file decides.
   */
  by: z.enum(['declared', 'cells', 'nearness', 'assumed']),
  /** Cells that can be read in this way only. */
  agreeing: Count,
  /** Cells that can be read in the other way only. */
  contradicting: Count,
  /** Cells that could be read in both ways. */
  ambiguous: Count,
})
export type ColumnDecision = z.infer<typeof ColumnDecision>
