import type { ApprovalRule } from '@aduana/contracts/dataset-definition'
import { counted, figure } from '@aduana/contracts/figures'
import type { ImportWarning, ImportWarningCode } from '@aduana/contracts/import-warnings'
import type { ApprovalReason, LoadPreview } from '@aduana/contracts/load-preview'

const AMBIGUOUS: readonly string[] = [
  'ambiguous_decimal_mark',
  'ambiguous_day_month',
] satisfies ImportWarningCode[]

/** Returns why a load with this preview and these warnings needs an approval; an empty list if it does not. */
export function approvalReasons(
  preview: LoadPreview,
  rule: ApprovalRule | undefined,
  dataset: string,
  warnings: readonly Pick<ImportWarning, 'code' | 'column'>[] = [],
): ApprovalReason[] {
  const touched = preview.totals.changed + preview.totals.removed
  const { before } = preview.rows
  const { rows, share } = rule?.above ?? {}
  const reasons: ApprovalReason[] = []
  if (rows !== undefined && touched > rows)
    reasons.push({
      code: 'too_many_rows',
      detail: `the import changes or removes ${counted(touched, 'row')}, and ${dataset} requires an approval above ${counted(rows, 'row')}`,
    })
  if (share !== undefined && before > 0 && touched / before > share)
    reasons.push({
      code: 'too_large_share',
      detail: `the import changes or removes ${figure(touched)} of ${counted(before, 'row')} (${percent(touched / before)}), and ${dataset} requires an approval above ${percent(share)}`,
    })
  const open = rule?.ambiguous ? warnings.filter(({ code }) => AMBIGUOUS.includes(code)) : []
  if (open.length > 0)
    reasons.push({
      code: 'ambiguous',
      detail: `nothing in the file shows how to read ${open.map(({ column }) => column).join(', ')} (see the warnings), and ${dataset} requires an approval of such files`,
    })
  return reasons
}

/** Describes what a load does, in one phrase. */
export function describeChanges({ totals, alreadyPresent, sameVersion }: LoadPreview): string {
  const twice =
    alreadyPresent > 0
      ? ` (${figure(alreadyPresent)} of them ${alreadyPresent === 1 ? 'is' : 'are'} already in the table)`
      : ''
  const inDoubt = sameVersion.rows > 0 ? ` (${figure(sameVersion.rows)} of them of the same version)` : ''
  return `insert ${counted(totals.inserted, 'row')}${twice}, change ${figure(totals.changed)}${inDoubt}, leave ${figure(totals.unchanged)} unchanged and remove ${figure(totals.removed)}`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
