import { figure } from '@aduana/contracts/figures'
import type { Job } from '@aduana/contracts/jobs'
import { UndoResult } from '@aduana/contracts/undo'
import { printable } from './table.ts'

/** What an undo has reversed, kept and could not put back, one line for each; empty while it has no result. */
export function undoneLines(job: Job): string {
  const parsed = UndoResult.safeParse(job.result)
  if (!parsed.success) return ''
  const { imports, reversed, kept, impossible } = parsed.data
  const lines: [string, number][] = [
    ['imports taken back', imports.length],
    ['rows deleted', reversed.deleted],
    ['rows put back as they were', reversed.restored],
    ['rejects open again', reversed.rejectsReopened],
    ['rejects that no longer matter', reversed.rejectsSuperseded],
  ]
  // Rejects are the business of few undos.
  const told = lines.filter(([what, count]) => count > 0 || !what.startsWith('rejects'))
  const width = Math.max(...told.map(([what]) => what.length))
  return [
    ...told.map(([what, count]) => `  ${what.padEnd(width)}  ${figure(count)}`),
    ...kept.map(({ what, count, why }) => `  kept: ${figure(count)} ${printable(what)}: ${printable(why)}`),
    ...impossible.map(
      ({ what, count, why }) => `  not put back: ${figure(count)} ${printable(what)}: ${printable(why)}`,
    ),
  ].join('\n')
}
