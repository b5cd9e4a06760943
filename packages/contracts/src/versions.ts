import { z } from 'zod'

/** One version of what is declared: when it was written, by whom (null: it came with the program), and how it reads. */
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
