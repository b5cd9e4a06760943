import type { ApprovalRule } from '@aduana/contracts/dataset-definition'
import type { LoadPreview } from '@aduana/contracts/load-preview'
import { describe, expect, test } from 'vitest'
import { approvalReasons } from './approval.ts'

/** Returns a preview that changes and removes this many of the existing rows. */
function touching(changed: number, removed: number, before: number): LoadPreview {
  return {
    mode: 'replace-window',
    matchedBy: ['lote'],
    totals: { inserted: 1000, changed, unchanged: 0, removed },
    alreadyPresent: 0,
    sameVersion: { rows: 0, example: null },
    rows: { before, after: before },
    days: [],
    daysLeftOut: 0,
    sums: [],
    newMembers: [],
  }
}

const codes = (preview: LoadPreview, above: { rows?: number; share?: number }) =>
  approvalReasons(preview, { above }, 'production').map(({ code }) => code)

describe('a load needs an approval', () => {
  test('for one changed or removed row more than the dataset allows, not for exactly as many', () => {
    expect(codes(touching(60, 40, 1000), { rows: 100 })).toEqual([])
    expect(codes(touching(60, 41, 1000), { rows: 100 })).toEqual(['too_many_rows'])
    expect(codes(touching(61, 40, 1000), { rows: 100 })).toEqual(['too_many_rows'])
    expect(codes(touching(0, 0, 1000), { rows: 0 })).toEqual([])
    expect(codes(touching(0, 1, 1000), { rows: 0 })).toEqual(['too_many_rows'])
  })

  test('for a larger share of the rows than the dataset allows, not for exactly that', () => {
    expect(codes(touching(10, 15, 100), { share: 0.25 })).toEqual([])
    expect(codes(touching(10, 16, 100), { share: 0.25 })).toEqual(['too_large_share'])
    expect(codes(touching(0, 100, 100), { share: 1 })).toEqual([])
    expect(codes(touching(0, 0, 0), { share: 0 })).toEqual([])
  })

  test('for each limit that it exceeds, and for none if the dataset has none', () => {
    expect(codes(touching(51, 50, 100), { rows: 100, share: 0.25 })).toEqual([
      'too_many_rows',
      'too_large_share',
    ])
    expect(approvalReasons(touching(51, 50, 100), undefined, 'production')).toEqual([])
  })

  test('for a file that could be read in two ways, if the dataset requires it', () => {
    const warnings = [
      { code: 'lines_before_header', column: null },
      { code: 'ambiguous_day_month', column: 'fecha' },
    ]
    const codesOf = (rule: ApprovalRule) =>
      approvalReasons(touching(0, 0, 0), rule, 'production', warnings).map(({ code }) => code)
    expect(codesOf({ ambiguous: true })).toEqual(['ambiguous'])
    expect(codesOf({ above: { rows: 1 } })).toEqual([])
    expect(
      approvalReasons(touching(0, 0, 0), { ambiguous: true }, 'production', warnings.slice(0, 1)),
    ).toEqual([])
  })
})
