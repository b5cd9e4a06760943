import { addDays } from '@aduana/contracts/dates'
import { figure } from '@aduana/contracts/figures'
import type { LedgerDay } from '@aduana/contracts/window-ledger'
import { readWindows } from '../api/calls.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { renderTable } from '../show/table.ts'

export interface WindowsOptions {
  from?: string
  to?: string
  scope?: string
  json?: boolean
}

/** `aduana windows <dataset>`: which days are loaded, and by which job. */
export async function windowsCommand(io: Io, dataset: string, options: WindowsOptions): Promise<ExitCode> {
  const { from, to, scope } = options
  const days = await readWindows(await openApi(io), dataset, { from, to, scope })
  io.out(options.json ? JSON.stringify(days) : windowTable(days))
  return EXIT.loaded
}

/** Days that follow each other in one state, of one job. */
interface Stretch {
  scope: string
  from: string
  to: string
  days: number
  state: LedgerDay['state']
  /** Null when the reader may not see all of them. */
  rows: number | null
  jobId: string | null
}

function windowTable(days: readonly LedgerDay[]): string {
  if (days.length === 0) return 'No days found.'
  const scoped = days.some(({ scope }) => scope !== '')
  return renderTable(
    [
      ...(scoped ? [{ title: 'scope' }] : []),
      { title: 'first day' },
      { title: 'last day' },
      { title: 'days', right: true },
      { title: 'state' },
      { title: 'rows', right: true },
      { title: 'job' },
    ],
    stretches(days).map(({ scope, from, to, days, state, rows, jobId }) => [
      ...(scoped ? [scope] : []),
      from,
      to,
      figure(days),
      state,
      rows === null ? 'not shown' : figure(rows),
      jobId ?? '',
    ]),
  )
}

function stretches(days: readonly LedgerDay[]): Stretch[] {
  const found: Stretch[] = []
  for (const { scope, day, state, rows, jobId } of days) {
    const last = found.at(-1)
    if (
      last &&
      last.scope === scope &&
      last.state === state &&
      last.jobId === jobId &&
      addDays(last.to, 1) === day
    ) {
      last.to = day
      last.days += 1
      last.rows = last.rows === null || rows === null ? null : last.rows + rows
    } else found.push({ scope, from: day, to: day, days: 1, state, rows, jobId })
  }
  return found
}
