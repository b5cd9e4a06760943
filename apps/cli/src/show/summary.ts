import { counted, figure } from '@aduana/contracts/figures'
import type { Job } from '@aduana/contracts/jobs'
import type { JobPreview } from '@aduana/contracts/load-preview'
import { z } from 'zod'
import type { JobReport, ReasonGroup } from '../api/calls.ts'
import { wouldBeRefused } from '../exit-codes.ts'
import { formatRate, formatSeconds } from './figures.ts'
import { renderPreview } from './preview.ts'
import { cleanedLine, recognisedLine, skippedLine } from './recognised.ts'
import { printable, shortened } from './table.ts'
import { undoneLines } from './undone.ts'

const TOP_REASONS = 8
const EXAMPLE_LENGTH = 500
const RECORDS_FOR_SPEED = 1000

/** What a person wants to know when a job has ended: how its file was read, counts, reasons, where to look next. */
export function renderSummary(
  job: Job,
  { report, preview }: { report?: JobReport | undefined; preview?: JobPreview | undefined },
  program: string,
): string {
  const blocks = [
    headline(job),
    warningLines(job),
    job.type === 'undo' ? undoneLines(job) : figureLines(job, { report, preview }),
    preview ? indented(renderPreview(preview)) : '',
    reasonLines(job, report?.rejects ?? []),
    nextLines(job, program),
  ]
  return blocks.filter((block) => block !== '').join('\n\n')
}

function headline(job: Job): string {
  if (job.type === 'undo') return undoHeadline(job)
  const what = `${printable(String(job.parameters.fileName ?? 'Job'))} → ${job.dataset ?? job.type}`
  switch (job.status) {
    case 'COMPLETED':
      if (job.dryRun) return `${what}: ${dryRunHeadline(job)}`
      if (job.batchDeleted) return `${what}: undone; its rows were deleted`
      return `${what}: loaded${remarks(job)}`
    case 'FAILED':
      return `${what}: ${failure(job)}`
    case 'CANCELLED':
      return `${what}: cancelled; nothing was loaded`
    case 'QUEUED':
    case 'PROCESSING':
      return `${what}: ${printable(job.message)}`
  }
}

function dryRunHeadline(job: Job): string {
  if (wouldBeRefused(job))
    return 'dry run: the import would be refused (already_imported); nothing was changed. With --force, the import would do this'
  return 'dry run, nothing was changed; this is what the import would do'
}

function remarks({ counts, warnings }: Job): string {
  const quarantined = counts.quarantined ?? 0
  const parts = [
    quarantined > 0 ? `${counted(quarantined, 'record')} in quarantine` : undefined,
    warnings.length > 0 ? counted(warnings.length, 'warning') : undefined,
  ].filter((part) => part !== undefined)
  return parts.length === 0 ? '' : `, with ${parts.join(' and ')}`
}

function failure({ error }: Job): string {
  return `failed (${error?.code ?? 'unknown'})${error ? `\n${printable(error.detail)}` : ''}`
}

function undoHeadline(job: Job): string {
  const what = `Undo of import #${String(job.parameters.importNo ?? '')} (${printable(String(job.parameters.fileName ?? ''))}) in ${job.dataset ?? ''}`
  switch (job.status) {
    case 'COMPLETED':
      return `${what}: done`
    case 'FAILED':
      return `${what}: ${failure(job)}`
    case 'CANCELLED':
      return `${what}: cancelled; nothing was changed`
    default:
      return `${what}: ${printable(job.message)}`
  }
}

/** How the file was read, what became of its records, and how long that took. */
function figureLines(
  job: Job,
  { report, preview }: { report: JobReport | undefined; preview: JobPreview | undefined },
): string {
  const known = countsOf(job, preview).flatMap(([name, value, note]): [string, string, string][] =>
    value === null ? [] : [[name, figure(value), note ? `   ${note}` : '']],
  )
  const width = Math.max(0, ...known.map(([, value]) => value.length))
  const lines: [string, string][] = [
    ...line('read as', recognisedLine(job)),
    ...line('skipped', skippedLine(job)),
    ...line('cleaned', cleanedLine(job)),
    ...known.map(([name, value, note]): [string, string] => [name, `${value.padStart(width)}${note}`]),
    ...(job.counts.records === null ? [] : timeOf(report)),
  ]
  const widest = Math.max(12, ...lines.map(([name]) => name.length))
  return lines.map(([name, value]) => `  ${name.padEnd(widest)} ${value}`).join('\n')
}

type Figure = [name: string, value: number | null, note?: string]

/** The figures, which add up to the records. The preview has its own of what is removed. */
function countsOf({ status, counts }: Job, preview: JobPreview | undefined): Figure[] {
  const { records, loaded, inserted, updated, unchanged, quarantined, duplicates, conflicts, removed } =
    counts
  const ended = status === 'FAILED' || status === 'CANCELLED'
  const held = ended && records !== null
  const left = (records ?? 0) - (quarantined ?? 0) - (duplicates ?? 0) - (conflicts ?? 0)
  const why = status === 'FAILED' ? 'the import failed' : 'the import was cancelled'
  return [
    ['records', records],
    ['loaded', held ? 0 : loaded],
    ['not loaded', held ? left || null : null, quarantined === null ? why : `good records; ${why}`],
    ['of them new', updated ? inserted : null],
    ['of them changed', updated || null],
    ['unchanged', unchanged || null],
    ['quarantined', quarantined],
    ['duplicates', duplicates],
    ['conflicts', conflicts || null],
    ['removed', preview ? null : removed || null, 'rows that these days had before the import'],
  ]
}

function line(name: string, value: string | undefined): [string, string][] {
  return value === undefined ? [] : [[name, value]]
}

/** A speed is only meaningful for many records. */
function timeOf(report: JobReport | undefined): [string, string][] {
  if (!report?.seconds) return []
  const { seconds, rowsPerSecond } = report
  const many = rowsPerSecond && rowsPerSecond * seconds >= RECORDS_FOR_SPEED
  return [['time', many ? `${formatSeconds(seconds)}, ${formatRate(rowsPerSecond)}` : formatSeconds(seconds)]]
}

function warningLines({ warnings }: Job): string {
  return indented(warnings.map(({ code, message }) => `! ${code}: ${printable(message)}`).join('\n'))
}

const Counted = z.array(z.object({ column: z.string().nullable(), code: z.string(), count: z.int() }))

/** Why records were rejected, the most frequent reasons first, each with an example where one is kept. */
function reasonLines(job: Job, kept: readonly ReasonGroup[]): string {
  const reasons = reasonsOf(job, kept)
  if (reasons.length === 0) return ''
  const rows = reasons
    .slice(0, TOP_REASONS)
    .map((reason) => [
      counted(reason.rejects, 'record'),
      reason.column === null ? '(record)' : printable(reason.column),
      exampleOf(reason),
    ])
  const [first, second] = [0, 1].map((index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)))
  const left = reasons.length - TOP_REASONS
  return indented(
    [
      reasons.length === 1 ? 'Reason:' : 'Reasons (a record may have several):',
      ...rows.map(
        ([what = '', column = '', why]) =>
          `${what.padEnd(first ?? 0)}  ${column.padEnd(second ?? 0)}  ${why}`,
      ),
      ...(left > 0 ? [`… and ${counted(left, 'more reason')}`] : []),
    ].join('\n'),
  )
}

/** The code, with the place and the message of one record that has it. */
function exampleOf({ code, example, line }: ReasonGroup): string {
  if (example === '') return code
  return `${code}${line === null ? '' : ` (line ${line})`}: ${shortened(printable(example), EXAMPLE_LENGTH)}`
}

/** The result counts all rejects; an example is only known of those that are kept. */
function reasonsOf({ result }: Job, kept: readonly ReasonGroup[]): readonly ReasonGroup[] {
  const counts = Counted.safeParse(result?.rejectReasons).data ?? []
  if (counts.length === 0) return kept
  return counts
    .map(({ column, code, count }) => {
      const like = kept.find((group) => group.column === column && group.code === code)
      return { column, code, rejects: count, example: like?.example ?? '', line: like?.line ?? null }
    })
    .sort((a, b) => b.rejects - a.rejects)
}

function nextLines(job: Job, program: string): string {
  const files = new Set(job.artifacts.map(({ name }) => name))
  const { quarantined, duplicates, conflicts } = job.counts
  const download = (name: string) => (files.has(name) ? `${program} download ${job.id} ${name}` : undefined)
  const lines: [string, string | undefined][] = [['job', job.id]]
  if (job.waitingFor === 'approval')
    lines.push(['approve', `${program} approve ${job.id}`], ['reject', `${program} cancel ${job.id}`])
  if (quarantined) lines.push(['rejects', `${program} rejects ${job.id}`], ['', download('rejects.ndjson')])
  if (duplicates) lines.push(['duplicates', download('duplicates.ndjson')])
  if (conflicts) lines.push(['conflicts', download('conflicts.ndjson')])
  return lines
    .flatMap(([name, command]) => (command === undefined ? [] : [`  ${name.padEnd(12)} ${command}`]))
    .join('\n')
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ')
}
