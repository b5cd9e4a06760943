import type { Job } from '@aduana/contracts/jobs'
import type { JobPreview } from '@aduana/contracts/load-preview'
import type { JobReport, ReasonGroup } from '../api/calls.ts'
import { formatCount, formatRate, formatSeconds } from './figures.ts'
import { renderPreview } from './preview.ts'
import { printable, renderTable, shortened } from './table.ts'
import { undoneLines } from './undone.ts'

const TOP_REASONS = 8
const EXAMPLE_LENGTH = 60

/** Where the API is, and what to type to run this program. */
export interface Place {
  url: string
  program: string
}

/** What a person wants to know when a job has ended: counts, reasons, speed, where to look next. */
export function renderSummary(
  job: Job,
  { report, preview }: { report?: JobReport | undefined; preview?: JobPreview | undefined },
  at: Place,
): string {
  const blocks = [
    headline(job),
    job.type === 'undo' ? undoneLines(job) : countLines(job, report),
    preview ? indented(renderPreview(preview)) : '',
    warningLines(job),
    reasonLines(report?.rejects ?? []),
    nextLines(job, at),
  ]
  return blocks.filter((block) => block !== '').join('\n\n')
}

function headline(job: Job): string {
  if (job.type === 'undo') return undoHeadline(job)
  const what = `${printable(String(job.parameters.fileName ?? 'Job'))} → ${job.dataset ?? job.type}`
  switch (job.status) {
    case 'COMPLETED':
      if (job.dryRun) return `${what}: dry run, nothing was changed; this is what the import would do`
      if (job.batchDeleted) return `${what}: undone; its rows are gone`
      return (job.counts.quarantined ?? 0) > 0
        ? `${what}: loaded, with ${formatCount(job.counts.quarantined ?? 0)} records in quarantine`
        : `${what}: loaded`
    case 'FAILED':
      return `${what}: failed (${job.error?.code ?? 'unknown'})${job.error ? `\n${printable(job.error.detail)}` : ''}`
    case 'CANCELLED':
      return `${what}: cancelled; nothing was loaded`
    case 'QUEUED':
    case 'PROCESSING':
      return `${what}: ${printable(job.message)}`
  }
}

function undoHeadline(job: Job): string {
  const what = `Undo of import #${String(job.parameters.importNo ?? '')} (${printable(String(job.parameters.fileName ?? ''))}) in ${job.dataset ?? ''}`
  switch (job.status) {
    case 'COMPLETED':
      return `${what}: done`
    case 'FAILED':
      return `${what}: failed (${job.error?.code ?? 'unknown'})${job.error ? `\n${printable(job.error.detail)}` : ''}`
    case 'CANCELLED':
      return `${what}: cancelled; nothing was changed`
    default:
      return `${what}: ${printable(job.message)}`
  }
}

function countLines(job: Job, report: JobReport | undefined): string {
  const { records, loaded, unchanged, quarantined, duplicates, removed } = job.counts
  const figures: [string, number | null][] = [
    ['records', records],
    ['loaded', loaded],
    ['unchanged', unchanged],
    ['quarantined', quarantined],
    ['duplicates', duplicates],
    ['replaced', removed],
  ]
  const known = figures.flatMap(([name, value]): [string, string][] =>
    value === null || (value === 0 && name === 'replaced') ? [] : [[name, formatCount(value)]],
  )
  const speed: [string, string][] =
    report?.seconds && report.rowsPerSecond
      ? [['speed', `${formatRate(report.rowsPerSecond)} (${formatSeconds(report.seconds)})`]]
      : []
  const width = Math.max(0, ...known.map(([, value]) => value.length))
  return [...known.map(([name, value]) => [name, value.padStart(width)] as const), ...speed]
    .map(([name, value]) => `  ${name.padEnd(12)} ${value}`)
    .join('\n')
}

function warningLines({ warnings }: Job): string {
  return indented(warnings.map(({ code, message }) => `! ${code}: ${printable(message)}`).join('\n'))
}

function reasonLines(reasons: readonly ReasonGroup[]): string {
  if (reasons.length === 0) return ''
  const rows = reasons
    .slice(0, TOP_REASONS)
    .map(({ rejects, code, column, example }) => [
      formatCount(rejects),
      code,
      column ?? '(record)',
      shortened(example, EXAMPLE_LENGTH),
    ])
  const table = renderTable(
    [{ title: 'rejects', right: true }, { title: 'reason' }, { title: 'column' }, { title: 'for example' }],
    rows,
  )
  const left = reasons.length - TOP_REASONS
  const more = left > 0 ? `\n… and ${left} more ${left === 1 ? 'reason' : 'reasons'}` : ''
  return indented(`${table}${more}`)
}

function nextLines(job: Job, { url, program }: Place): string {
  const lines = [`job      ${url}/api/jobs/${job.id}`]
  if (job.waitingFor === 'approval')
    lines.push(`approve  ${program} approve ${job.id}`, `reject   ${program} cancel ${job.id}`)
  if ((job.counts.quarantined ?? 0) > 0) {
    // Those of a dry run are in their file only.
    if (!job.dryRun) lines.push(`rejects  ${program} rejects ${job.id}`)
    const file = job.artifacts.find(({ name }) => name.startsWith('rejects'))
    if (file)
      lines.push(`${job.dryRun ? 'rejects' : '       '}  ${url}/api/jobs/${job.id}/artifacts/${file.name}`)
  }
  return indented(lines.join('\n'))
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ')
}
