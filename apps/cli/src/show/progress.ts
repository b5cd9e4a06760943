import { counted, figure } from '@aduana/contracts/figures'
import { STAGES, stagesOf } from '@aduana/contracts/stages'
import type { UploadProgress } from '../api/upload.ts'
import type { JobView } from '../follow/view.ts'
import { formatBytes, formatLeft, formatRate } from './figures.ts'

/** The content of a progress line: the activity, its progress, and figures in descending order of importance. */
export interface ProgressFacts {
  label: string
  /** 0…100; null if unknown. */
  percent: number | null
  figures: string[]
}

/** Characters that a bar is drawn with. */
export interface BarStyle {
  full: string
  empty: string
}

export const BLOCKS: BarStyle = { full: '█', empty: '░' }
export const ASCII: BarStyle = { full: '#', empty: '.' }

const LABEL_WIDTH = Math.max(...STAGES.map(({ title }) => title.length)) + 5
const WIDEST_BAR = 30
const NARROWEST_BAR = 8

/** The progress of an upload. `seconds` since it began. */
export function uploadFacts({ sent, bytes }: UploadProgress, seconds: number): ProgressFacts {
  const rate = seconds > 0.2 ? [`${formatBytes(sent / seconds)}/s`] : []
  return {
    label: 'Upload',
    percent: bytes === 0 ? 100 : (sent * 100) / bytes,
    figures: [`${formatBytes(sent)} of ${formatBytes(bytes)}`, ...rate],
  }
}

/** The progress of a job. */
export function jobFacts(view: JobView): ProgressFacts {
  const { job } = view
  if (job.status === 'FAILED' || job.status === 'CANCELLED')
    return { label: job.status === 'FAILED' ? 'Failed' : 'Cancelled', percent: view.progress, figures: [] }
  if (job.status === 'COMPLETED')
    return { label: 'Done', percent: 100, figures: recordsOf(job.counts.records) }
  if (job.waitingFor !== null)
    return { label: 'Waiting', percent: null, figures: [view.message || `for the ${job.waitingFor}`] }
  const stages = STAGES.filter(({ name }) => stagesOf(job.type).includes(name))
  const number = stages.findIndex(({ name }) => name === view.stage)
  const stage = stages[number]
  if (job.status === 'QUEUED' || !stage)
    return { label: 'Queued', percent: null, figures: view.message ? [view.message] : [] }
  const rate = view.rowsPerSecond ? [formatRate(view.rowsPerSecond)] : []
  const left = view.etaSeconds ? [formatLeft(view.etaSeconds)] : []
  return {
    label: `${number + 1}/${stages.length} ${stage.title}`,
    percent: view.progress,
    figures: [...itemsOf(view), ...rate, ...left],
  }
}

/** One line with a bar that fits into `columns`; figures that do not fit are left out, the last ones first. */
export function renderBar(facts: ProgressFacts, columns: number, style: BarStyle): string {
  const label = facts.label.padEnd(LABEL_WIDTH)
  const percent = facts.percent === null ? '' : `${Math.floor(facts.percent)} %`.padStart(5)
  const room = columns - 1 - label.length - 2 - percent.length
  const figures = [...facts.figures]
  const length = () => figures.reduce((sum, text) => sum + text.length + 2, 0)
  while (figures.length > 0 && length() > room - NARROWEST_BAR) figures.pop()
  const width = Math.min(WIDEST_BAR, room - length())
  const bar = width < NARROWEST_BAR ? '' : `${drawBar(facts.percent, width, style)} `
  return `${label} ${bar}${percent}${figures.map((text) => `  ${text}`).join('')}`
    .slice(0, columns - 1)
    .trimEnd()
}

/** The same as plain text, for a log. */
export function renderPlain({ label, percent, figures }: ProgressFacts): string {
  const parts = percent === null ? figures : [`${Math.floor(percent)} %`, ...figures]
  return parts.length === 0 ? label : `${label}: ${parts.join(', ')}`
}

function drawBar(percent: number | null, width: number, { full, empty }: BarStyle): string {
  const filled = Math.round((width * Math.min(100, Math.max(0, percent ?? 0))) / 100)
  return full.repeat(filled) + empty.repeat(width - filled)
}

function recordsOf(records: number | null): string[] {
  return records === null ? [] : [counted(records, 'record')]
}

function itemsOf({ processedItems, totalItems }: JobView): string[] {
  if (processedItems === null) return recordsOf(totalItems)
  if (totalItems === null || totalItems === processedItems) return recordsOf(processedItems)
  return [`${figure(processedItems)}/${counted(totalItems, 'record')}`]
}
