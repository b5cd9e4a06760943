import { z } from 'zod'

/** The options of an undo. */
export const UndoRequest = z.strictObject({
  /** Also undo later imports that depend on it, newest first, all or none. */
  unwind: z.boolean().default(false),
})
export type UndoRequest = z.infer<typeof UndoRequest>

const Count = z.int().nonnegative()

/** What an undo did not reverse, how often, and why. */
export const LeftByUndo = z.strictObject({ what: z.string(), count: Count, why: z.string() })
export type LeftByUndo = z.infer<typeof LeftByUndo>

/** The `result` of an undo job. */
export const UndoResult = z.strictObject({
  /** The undone imports, newest first. */
  imports: z.array(z.uuid()),
  /** The difference between the table before and after, also when several imports were undone. */
  reversed: z.strictObject({
    /** Rows of the imports that were deleted. */
    deleted: Count,
    /** Rows that the imports had replaced or changed and that were restored. */
    restored: Count,
    /** Rejects of earlier imports that were reopened. */
    rejectsReopened: Count,
    /** Open rejects of the imports that were superseded. */
    rejectsSuperseded: Count,
  }),
  /** What was kept on purpose. */
  kept: z.array(LeftByUndo),
  /** What could not be restored. */
  impossible: z.array(LeftByUndo),
})
export type UndoResult = z.infer<typeof UndoResult>
