import { counted } from '@aduana/contracts/figures'
import { RefusedError } from '../refused.ts'

/**
 * Rejects an upsert that would change rows of a company or warehouse that the uploader has no access to.
 * @throws RefusedError if there are such rows
 */
export function assertForeignKeys(found: { rows: number; example: string | null }): void {
  if (found.rows === 0) return
  throw new RefusedError({
    code: 'key_in_other_scope',
    detail: `${counted(found.rows, 'row')} ${found.rows === 1 ? 'has' : 'have'} a key that belongs to a row of another company or warehouse, such as "${found.example}". Nothing was changed. Remove these records from the file, or ask a user with access to import them.`,
    rows: found.rows,
  })
}
