import type { JobPreview } from '@aduana/contracts/load-preview'
import { expect, test } from 'vitest'
import { JOB_ID } from '../testing/jobs.ts'
import { renderPreview } from './preview.ts'

const DAY = { scope: '', inserted: 0, changed: 0, unchanged: 0, removed: 0, before: 0, after: 0 }

function preview(change: Partial<JobPreview['preview']> = {}): JobPreview {
  return {
    jobId: JOB_ID,
    dryRun: false,
    basis: 'a'.repeat(64),
    needsApproval: [{ code: 'requested', detail: 'requested by the uploader' }],
    createdAt: '2024-01-01T00:00:00.000Z',
    approvedBy: null,
    approvedAt: null,
    preview: {
      mode: 'replace-window',
      matchedBy: ['lote'],
      totals: { inserted: 1, changed: 2, unchanged: 1200, removed: 3 },
      alreadyPresent: 0,
      sameVersion: { rows: 0, example: null },
      rows: { before: 1205, after: 1203 },
      days: [
        { ...DAY, day: '2024-01-01', inserted: 1, changed: 2, unchanged: 1200, before: 1202, after: 1203 },
        { ...DAY, day: '2024-01-02', removed: 3, before: 3 },
      ],
      daysLeftOut: 0,
      sums: [{ column: 'peso_neto', before: '12.500', after: '-1.000' }],
      newMembers: [
        { column: 'maquina_codigo', codes: 7, examples: ['M1', 'M2', 'M3', 'M4', 'M5', 'M6', 'M7'] },
      ],
      ...change,
    },
  }
}

test('a preview shows the rows of each day, the sums, new members, and why it waits', () => {
  expect(renderPreview(preview())).toBe(
    [
      'day         before  inserted  changed  unchanged  removed  after',
      '2024-01-01   1,202         1        2      1,200        0  1,203',
      '2024-01-02       3         0        0          0        3      0',
      'total        1,205         1        2      1,200        3  1,203',
      '',
      'sum of     before   after',
      'peso_neto  12.500  -1.000',
      '',
      'new in maquina_codigo: 7 codes (M1, M2, M3, M4, M5, …)',
      '',
      'requires an approval because:',
      '  requested by the uploader',
    ].join('\n'),
  )
})

const dayOf = (index: number) =>
  `2024-0${1 + Math.floor(index / 28)}-${String(1 + (index % 28)).padStart(2, '0')}`

test('a preview of many changed days shows the first ones and their number', () => {
  const days = Array.from({ length: 40 }, (_, index) => ({ ...DAY, day: dayOf(index), inserted: 1 }))
  const text = renderPreview(preview({ days, daysLeftOut: 10 }))
  expect(text).toContain('(19 more days are included in the total)')
  expect(text).not.toContain('2024-02-05')
  expect(text).not.toContain('unchanged days')
})

test('a preview counts the unchanged days, and lists all others', () => {
  const days = Array.from({ length: 40 }, (_, index) => ({
    ...DAY,
    day: dayOf(index),
    ...(index === 39 ? { removed: 1 } : { unchanged: 5 }),
  }))
  const text = renderPreview(preview({ days, daysLeftOut: 2 }))
  expect(text.split('\n').slice(1, 4)).toEqual([
    '2024-02-12       0         0        0          0        1      0',
    'total        1,205         1        2      1,200        3  1,203',
    '(41 unchanged days are included in the total)',
  ])
  expect(text).not.toContain('2024-01-01')
})

test('sums have separators, and keep all their digits', () => {
  const sums = [{ column: 'a', before: '-1234567.1200', after: '999' }]
  expect(renderPreview(preview({ sums }))).toContain('-1,234,567.1200    999')
})

test('a preview shows existing rows and ambiguous versions', () => {
  const text = renderPreview(preview({ alreadyPresent: 1200, sameVersion: { rows: 2, example: 'O-17' } }))
  expect(text).toContain(
    '\n\nalready in the table: 1,200 of the rows to insert\nof the same version: 2 of the rows to change (for example O-17)\n\n',
  )
})

test('one unchanged day is shown in the singular', () => {
  const days = [{ ...DAY, day: '2024-01-01', unchanged: 4, before: 4, after: 4 }]
  expect(renderPreview(preview({ days }))).toContain('\n(1 unchanged day is included in the total)\n')
})
