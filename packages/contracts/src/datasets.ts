import { z } from 'zod'
import { DatasetDefinition, LoadMode } from './dataset-definition.ts'
import { versionOf } from './versions.ts'

/** A dataset with its current definition. */
export const Dataset = z.strictObject({
  id: z.uuid(),
  code: z.string(),
  version: z.int(),
  title: z.strictObject({ en: z.string(), es: z.string() }),
  loadMode: LoadMode,
  definition: DatasetDefinition,
  /** The author of this version; null if it was shipped. */
  changedBy: z.uuid().nullable(),
  /** Whether the definition is the shipped one; null for a dataset that is not shipped. */
  asShipped: z.boolean().nullable(),
})
export type Dataset = z.infer<typeof Dataset>

export const DatasetVersion = versionOf(DatasetDefinition)
export type DatasetVersion = z.infer<typeof DatasetVersion>

/** The result of saving a definition. */
export const SavedDataset = z.strictObject({
  code: z.string(),
  version: z.int(),
  /** False if the definition is unchanged. */
  changed: z.boolean(),
})
export type SavedDataset = z.infer<typeof SavedDataset>

/** A problem of a definition. */
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
