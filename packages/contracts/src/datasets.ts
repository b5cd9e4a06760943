import { z } from 'zod'
import { DatasetDefinition, LoadMode } from './dataset-definition.ts'
import { versionOf } from './versions.ts'

/** A dataset with its definition of now. */
export const Dataset = z.strictObject({
  id: z.uuid(),
  code: z.string(),
  version: z.int(),
  title: z.strictObject({ en: z.string(), es: z.string() }),
  loadMode: LoadMode,
  definition: DatasetDefinition,
  /** Who wrote this version; null: it came with the program. */
  changedBy: z.uuid().nullable(),
  /** Whether it is as the program ships it; null for a dataset that does not come with the program. */
  asShipped: z.boolean().nullable(),
})
export type Dataset = z.infer<typeof Dataset>

export const DatasetVersion = versionOf(DatasetDefinition)
export type DatasetVersion = z.infer<typeof DatasetVersion>

/** What became of a definition that was saved. */
export const SavedDataset = z.strictObject({
  code: z.string(),
  version: z.int(),
  /** False when it was so already. */
  changed: z.boolean(),
})
export type SavedDataset = z.infer<typeof SavedDataset>

/** What is wrong with a definition, and at which part of it. */
export const DatasetProblem = z.strictObject({
  /** `columns[2].maxLength`; empty for the definition as a whole. */
  path: z.string(),
  code: z.enum([
    'invalid',
    'contradiction',
    'pattern',
    'table_differs',
    'key_too_long',
    'fixed',
    'program_table',
    'table_taken',
    'not_writable',
  ]),
  message: z.string(),
})
export type DatasetProblem = z.infer<typeof DatasetProblem>
