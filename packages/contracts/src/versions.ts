import { z } from 'zod'
import { ProblemError } from './problems.ts'

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

/**
 * Checks that an object is at the version that a client has read, so that it does not overwrite a later change. No
 * check without `expected`; `current` is undefined when the object does not exist.
 * @throws ProblemError `version_changed` with the current `version`
 */
export function requireVersion(
  what: string,
  expected: number | undefined,
  current: number | undefined,
): void {
  if (expected === undefined || expected === current) return
  const now = current === undefined ? 'does not exist' : `is at version ${current}`
  throw new ProblemError(
    'version_changed',
    `The ${what} ${now}, but you changed version ${expected}. Nothing was saved. Read the current version and apply your change to it.`,
    { version: current ?? null },
  )
}
