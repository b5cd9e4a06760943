import { ProblemError } from '@aduana/contracts/problems'

/**
 * Whoever changes something may say which version they have seen, so that they do not undo what somebody else has
 * changed since. `present` is undefined for what is not there yet.
 * @throws ProblemError `version_changed` with the present `version`
 */
export function mustHaveSeen(what: string, seen: number | undefined, present: number | undefined): void {
  if (seen === undefined || seen === present) return
  const now = present === undefined ? 'is not there' : `is at version ${present}`
  throw new ProblemError(
    'version_changed',
    `The ${what} ${now}, and version ${seen} is what you have seen. Nothing was changed. Read it again, and make your change in that.`,
    { version: present ?? null },
  )
}
