import type { ApprovalRule } from '@aduana/contracts/dataset-definition'
import { counted, figure } from '@aduana/contracts/figures'
import type { ImportWarning, ImportWarningCode } from '@aduana/contracts/import-warnings'
import type { ApprovalReason, LoadPreview } from '@aduana/contracts/load-preview'

const AMBIGUOUS: readonly string[] = [
  'ambiguous_decimal_mark',
  'ambiguous_day_month',
] satisfies ImportWarningCode[]

/** Why a load with this preview and these warnings must be approved first; empty when it need not. */
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
      detail: `it changes or removes ${counted(touched, 'row')}, and ${dataset} asks above ${figure(rows)}`,
    })
  if (share !== undefined && before > 0 && touched / before > share)
    reasons.push({
      code: 'too_large_share',
      detail: `it changes or removes ${figure(touched)} of ${counted(before, 'row')} (${percent(touched / before)}), and ${dataset} asks above ${percent(share)}`,
    })
  const open = rule?.ambiguous ? warnings.filter(({ code }) => AMBIGUOUS.includes(code)) : []
  if (open.length > 0)
    reasons.push({
      code: 'ambiguous',
      detail: `nothing in the file says how to read ${open.map(({ column }) => column).join(', ')}, as its warnings tell, and ${dataset} asks then`,
    })
  return reasons
}

/** What a load does, in a phrase. */
export function describeChanges({ totals, alreadyPresent, sameVersion }: LoadPreview): string {
  const twice =
    alreadyPresent > 0
      ? ` (${figure(alreadyPresent)} of them ${alreadyPresent === 1 ? 'is' : 'are'} in the table already)`
      : ''
  const inDoubt = sameVersion.rows > 0 ? ` (${figure(sameVersion.rows)} of them of the same version)` : ''
  return `insert ${figure(totals.inserted)}${twice}, change ${figure(totals.changed)}${inDoubt}, leave ${figure(totals.unchanged)} as they are and remove ${counted(totals.removed, 'row')}`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
