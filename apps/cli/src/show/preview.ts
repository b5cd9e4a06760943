import { counted, figure } from '@aduana/contracts/figures'
import { type DayChanges, hasChanges, type JobPreview } from '@aduana/contracts/load-preview'
import { formatDecimal } from './figures.ts'
import { renderTable, shortened } from './table.ts'

const MAX_DAYS = 31
const SHOWN_CODES = 5

/** What a load would do, for people: rows by day that changes, sums before and after, members that it would create. */
export function renderPreview(job: JobPreview): string {
  const blocks = [dayTable(job), metLines(job), sumTable(job), memberLines(job), approvalLines(job)]
  return blocks.filter((block) => block !== '').join('\n\n')
}

/** The days that change; the others are only counted. */
function dayTable({ preview }: JobPreview): string {
  const { days, daysLeftOut, totals, rows } = preview
  const scoped = days.some(({ scope }) => scope !== '')
  const cells = (name: string[], figures: Omit<DayChanges, 'scope' | 'day'>) => [
    ...name,
    figure(figures.before),
    figure(figures.inserted),
    figure(figures.changed),
    figure(figures.unchanged),
    figure(figures.removed),
    figure(figures.after),
  ]
  const changing = days.filter(hasChanges)
  const shown = changing.slice(0, MAX_DAYS)
  const table = renderTable(
    [
      { title: 'day' },
      ...(scoped ? [{ title: 'scope' }] : []),
      ...['before', 'inserted', 'changed', 'unchanged', 'removed', 'after'].map((title) => {
        return { title, right: true }
      }),
    ],
    [
      ...shown.map((entry) => cells([entry.day ?? 'all', ...(scoped ? [entry.scope] : [])], entry)),
      cells(['total', ...(scoped ? [''] : [])], { ...totals, ...rows }),
    ],
  )
  const same = days.length - changing.length
  // Days that do not change are left out first: where one is listed, no other kind is left out.
  const notListed = daysLeftOut > 0 && same > 0 ? same + daysLeftOut : same
  const more = changing.length - shown.length + (same > 0 ? 0 : daysLeftOut)
  const notes = [
    more > 0 ? `(${included(more, 'more day')})` : '',
    notListed > 0 ? `(${included(notListed, 'unchanged day')})` : '',
  ]
  return [table, ...notes].filter((line) => line !== '').join('\n')
}

function included(days: number, what: string): string {
  return `${counted(days, what)} ${days === 1 ? 'is' : 'are'} included in the total`
}

/** Describes existing rows that affect the load. */
function metLines({ preview: { alreadyPresent, sameVersion } }: JobPreview): string {
  const lines = [
    ...(alreadyPresent > 0 ? [`already in the table: ${figure(alreadyPresent)} of the rows to insert`] : []),
    ...(sameVersion.rows > 0
      ? [
          `of the same version: ${figure(sameVersion.rows)} of the rows to change (for example ${shortened(sameVersion.example ?? '', 40)})`,
        ]
      : []),
  ]
  return lines.join('\n')
}

function sumTable({ preview }: JobPreview): string {
  if (preview.sums.length === 0) return ''
  return renderTable(
    [{ title: 'sum of' }, { title: 'before', right: true }, { title: 'after', right: true }],
    preview.sums.map(({ column, before, after }) => [column, formatDecimal(before), formatDecimal(after)]),
  )
}

function memberLines({ preview }: JobPreview): string {
  return preview.newMembers
    .map(({ column, codes, examples }) => {
      const some = examples.slice(0, SHOWN_CODES).map((code) => shortened(code, 40))
      return `new in ${column}: ${counted(codes, 'code')} (${some.join(', ')}${codes > some.length ? ', …' : ''})`
    })
    .join('\n')
}

function approvalLines({ needsApproval, approvedBy, approvedAt, dryRun }: JobPreview): string {
  if (approvedBy !== null) return `approved by ${approvedBy.email} at ${approvedAt ?? ''}`
  if (needsApproval.length === 0) return ''
  const why = needsApproval.map(({ detail }) => `  ${detail}`).join('\n')
  return `${dryRun ? 'would require' : 'requires'} an approval because:\n${why}`
}
