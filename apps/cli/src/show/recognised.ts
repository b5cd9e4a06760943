import { counted, figure } from '@aduana/contracts/figures'
import type { Job } from '@aduana/contracts/jobs'
import { z } from 'zod'
import { printable, shortened } from './table.ts'

const SHOWN_COLUMNS = 5
const NAME_LENGTH = 30

/** The description of the file in the result of an import. */
const Recognised = z.object({
  format: z.enum(['plain', 'gzip']).default('plain'),
  encoding: z.string(),
  encodingSure: z.boolean().default(true),
  delimiter: z.string(),
  headerLine: z.int(),
  columns: z.array(z.string()).optional(),
  ignoredColumns: z.array(z.string()),
  absentColumns: z.array(z.string()),
  firstDay: z.string().nullable(),
  lastDay: z.string().nullable(),
  days: z.int(),
})
type Recognised = z.infer<typeof Recognised>

/** How the file of an import was read, in one line; undefined while that is not known. */
export function recognisedLine({ result }: Job): string | undefined {
  const { data: found } = Recognised.safeParse(result)
  if (!found) return undefined
  const parts = [
    `${found.format === 'gzip' ? 'gzip, ' : ''}${found.encoding}${found.encodingSure ? '' : ' (unsure)'}`,
    `${delimiterName(found.delimiter)} between cells`,
    `header in line ${found.headerLine}`,
    columnsOf(found),
    daysOf(found),
  ]
  return parts.filter((part) => part !== '').join('; ')
}

const Skipped = z.object({
  headerLine: z.int(),
  preamble: z.array(z.unknown()),
  skippedLines: z.int(),
})

/** How many lines are no records: those before the header, and blank ones; undefined when there are none. */
export function skippedLine({ result }: Job): string | undefined {
  const { data: found } = Skipped.safeParse(result)
  if (!found) return undefined
  const before = found.preamble.length
  const blank = found.headerLine - 1 - before + found.skippedLines
  const parts = [
    ...(before > 0 ? [`${counted(before, 'line')} before the header`] : []),
    ...(blank > 0 ? [`${figure(blank)} blank`] : []),
  ]
  return parts.length === 0 ? undefined : `${figure(before + blank)}   ${parts.join(', ')}`
}

const Cleaned = z.object({ cleaned: z.array(z.object({ column: z.string(), count: z.int() })).min(1) })

/** Returns the number of cells by column from which invisible characters were removed; undefined if there are none. */
export function cleanedLine({ result }: Job): string | undefined {
  const { data: found } = Cleaned.safeParse(result)
  if (!found) return undefined
  const { cleaned } = found
  const shown = cleaned
    .slice(0, SHOWN_COLUMNS)
    .map(({ column, count }) => `${counted(count, 'cell')} of ${shortened(printable(column), NAME_LENGTH)}`)
  const left = cleaned.length - shown.length
  return `${shown.join(', ')}${left > 0 ? ` and cells of ${counted(left, 'more column')}` : ''}`
}

function delimiterName(delimiter: string): string {
  if (delimiter === '\t') return 'tab'
  return delimiter === ' ' ? 'blank' : `"${printable(delimiter)}"`
}

function columnsOf({ columns, ignoredColumns, absentColumns }: Recognised): string {
  const used = columns === undefined ? [] : [`${counted(columns.length, 'column')} used`]
  const ignored = ignoredColumns.length === 0 ? [] : [`ignored: ${names(ignoredColumns)}`]
  const absent = absentColumns.length === 0 ? [] : [`without: ${names(absentColumns)}`]
  return [...used, ...ignored, ...absent].join(', ')
}

function names(list: readonly string[]): string {
  const shown = list.slice(0, SHOWN_COLUMNS).map((name) => `"${shortened(printable(name), NAME_LENGTH)}"`)
  const left = list.length - shown.length
  return `${shown.join(' ')}${left > 0 ? ` and ${left} more` : ''}`
}

function daysOf({ firstDay, lastDay, days }: Recognised): string {
  if (firstDay === null || lastDay === null) return ''
  return firstDay === lastDay ? `day ${firstDay}` : `${counted(days, 'day')} from ${firstDay} to ${lastDay}`
}
