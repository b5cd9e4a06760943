import { counted } from '@aduana/contracts/figures'
import { RefusedError } from '../refused.ts'

/**
 * An upsert must not take over rows of a company or warehouse that the uploader may not touch.
 * @throws RefusedError when there are such rows
 */
export function refuseForeign(found: { rows: number; example: string | null }): void {
  if (found.rows === 0) return
  throw new RefusedError({
    code: 'key_in_other_scope',
    detail: `${counted(found.rows, 'row')} ${found.rows === 1 ? 'has' : 'have'} a key that belongs to a row of another company or warehouse, such as "${found.example}". Nothing was changed. Take them out of the file, or have them imported by somebody who may.`,
    rows: found.rows,
  })
}
