import { writeFile } from 'node:fs/promises'
import { Day } from '@aduana/contracts/dates'
import { figure } from '@aduana/contracts/figures'
import { UsageError } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { periodOfSeed, type SampleName } from '../sample/sample.ts'
import { writeSample } from '../sample/write.ts'
import { formatBytes } from '../show/figures.ts'

export interface SampleCommandOptions {
  rows: number
  out: string
  seed: number
  dataset: SampleName
  clean?: boolean
  from?: string
  to?: string
  report?: string
}

/** `aduana sample`: write a file to try imports with, and what its import must come to. */
export async function sampleCommand(io: Io, options: SampleCommandOptions): Promise<ExitCode> {
  const { dataset, rows, seed, out } = options
  const period = periodOf(options)
  const report = await writeSample(
    out,
    { dataset, rows, seed, clean: options.clean === true, ...period },
    io.signal,
  )
  if (options.report !== undefined) await writeFile(options.report, `${JSON.stringify(report, null, 2)}\n`)
  const { records, good, rejected, duplicates, conflicts, bytes } = report
  io.out(
    `${out}: ${figure(records)} records (${formatBytes(bytes)}) of ${dataset}, ${report.from} to ${report.to}: ` +
      `${figure(good)} good, ${figure(rejected)} bad, ${figure(duplicates)} duplicates, ` +
      `${figure(conflicts)} conflicts`,
  )
  return EXIT.loaded
}

function periodOf({ from, to, seed }: SampleCommandOptions): { from: Day; to: Day } {
  if (from === undefined && to === undefined) return periodOfSeed(seed)
  const days = { from: Day.safeParse(from), to: Day.safeParse(to) }
  if (!days.from.success || !days.to.success || days.from.data >= days.to.data)
    throw new UsageError(
      'A period needs two days, --from and --to (the first day after it), like 2025-03-01.',
    )
  return { from: days.from.data, to: days.to.data }
}
