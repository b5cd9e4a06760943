import { z } from 'zod'

/** Returns the schema of one version of a definition. `createdBy` is null if the version was shipped. */
export function versionOf<T extends z.ZodType>(definition: T) {
  return z.strictObject({
    version: z.int(),
    createdAt: z.iso.datetime(),
    createdBy: z.uuid().nullable(),
    definition,
  })
}

export const VersionQuery = z.strictObject({
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
})
export type VersionQuery = z.infer<typeof VersionQuery>
