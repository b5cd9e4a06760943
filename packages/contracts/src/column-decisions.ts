import { z } from 'zod'

const Count = z.int().nonnegative()

/**
 * How a column of one file was read when its cells allow several ways: which mark precedes decimals, or whether the day or
 * the month comes first.
 */
export const ColumnDecision = z.strictObject({
  column: z.string(),
  about: z.enum(['decimal_mark', 'day_month']),
  reading: z.enum(['point', 'comma', 'day_first', 'month_first']),
  /**
   * declared: the dataset allows no other reading. cells: some cells can be read in one way only. nearness: the days are
   * close together only in this reading. assumed: nothing in the file decides.
   */
  by: z.enum(['declared', 'cells', 'nearness', 'assumed']),
  /** Number of cells that can be read in this way only. */
  agreeing: Count,
  /** Number of cells that can be read in the other way only. */
  contradicting: Count,
  /** Number of cells that can be read in both ways. */
  ambiguous: Count,
})
export type ColumnDecision = z.infer<typeof ColumnDecision>
