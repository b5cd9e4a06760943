import { z } from 'zod'

/** How an import is taken back. */
export const UndoRequest = z.strictObject({
  /** Also take back the later imports that depend on it, newest first, all or none. */
  unwind: z.boolean().default(false),
})
export type UndoRequest = z.infer<typeof UndoRequest>

const Count = z.int().nonnegative()

/** Something that an undo left as it is, how often, and why. */
export const LeftByUndo = z.strictObject({ what: z.string(), count: Count, why: z.string() })
export type LeftByUndo = z.infer<typeof LeftByUndo>

/** What an undo came to: the `result` of its job. */
export const UndoResult = z.strictObject({
  /** The imports that were taken back, newest first. */
  imports: z.array(z.uuid()),
  /** The end compared with the beginning, also where several imports were taken back. */
  reversed: z.strictObject({
    /** Rows of the imports that were in the table and are deleted. */
    deleted: Count,
    /** Rows that the imports had replaced or changed and that are as they were before. */
    restored: Count,
    /** Rejects of earlier imports that are open again. */
    rejectsReopened: Count,
    /** Open rejects of the imports, which no longer matter. */
    rejectsSuperseded: Count,
  }),
  /** What stays on purpose. */
  kept: z.array(LeftByUndo),
  /** What could not be put back. */
  impossible: z.array(LeftByUndo),
})
export type UndoResult = z.infer<typeof UndoResult>
