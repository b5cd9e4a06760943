import { figure } from '@aduana/contracts/figures'
import type { Job } from '@aduana/contracts/jobs'
import { UndoResult } from '@aduana/contracts/undo'
import { printable } from './table.ts'

/** Returns what an undo has reversed, kept and could not restore, one line for each; empty without a result. */
export function undoneLines(job: Job): string {
  const parsed = UndoResult.safeParse(job.result)
  if (!parsed.success) return ''
  const { imports, reversed, kept, impossible } = parsed.data
  const lines: [string, number][] = [
    ['imports undone', imports.length],
    ['rows deleted', reversed.deleted],
    ['rows restored', reversed.restored],
    ['rejects reopened', reversed.rejectsReopened],
    ['rejects superseded', reversed.rejectsSuperseded],
  ]
  // Few undos concern rejects.
  const told = lines.filter(([what, count]) => count > 0 || !what.startsWith('rejects'))
  const width = Math.max(...told.map(([what]) => what.length))
  return [
    ...told.map(([what, count]) => `  ${what.padEnd(width)}  ${figure(count)}`),
    ...kept.map(({ what, count, why }) => `  kept: ${figure(count)} ${printable(what)}: ${printable(why)}`),
    ...impossible.map(
      ({ what, count, why }) => `  not restored: ${figure(count)} ${printable(what)}: ${printable(why)}`,
    ),
  ].join('\n')
}
