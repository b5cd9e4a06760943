import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Day } from '@aduana/contracts/dates'
import { figure } from '@aduana/contracts/figures'
import type { Job } from '@aduana/contracts/jobs'
import type { Api } from '../api/api.ts'
import { listJobs, type ReasonGroup, readReport } from '../api/calls.ts'
import { uploadImport } from '../api/upload.ts'
import { EXIT, type ExitCode, outcomeOfJob } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { type SampleReport, twoMonths } from '../sample/sample.ts'
import { writeSample } from '../sample/write.ts'
import { openApi } from '../session.ts'
import { createDisplay } from '../show/display.ts'
import { formatBytes } from '../show/figures.ts'
import { uploadFacts } from '../show/progress.ts'
import { renderSummary } from '../show/summary.ts'
import { renderTable } from '../show/table.ts'
import { waitForJob } from './wait.ts'

const DATASET = 'production'
const KNOWN_IMPORTS = 500

/** `aduana demo`: creates a sample with realistic errors, imports it, and compares the result with its content. */
export async function demoCommand(io: Io, options: { rows: number }): Promise<ExitCode> {
  const api = await openApi(io)
  const folder = await mkdtemp(join(tmpdir(), 'aduana-demo-'))
  try {
    const period = freePeriod(await listJobs(api, { dataset: DATASET, limit: KNOWN_IMPORTS }), new Date())
    const file = join(folder, `produccion-${period.from.slice(0, 7)}.csv`)
    // A new seed each time: the same file would be refused as already imported.
    const seed = Date.now()
    const made = await writeSample(
      file,
      { dataset: DATASET, rows: options.rows, seed, clean: false, ...period },
      io.signal,
    )
    io.err(
      `A sample of ${figure(made.records)} production records (${formatBytes(made.bytes)}), ` +
        `${period.from} to ${period.to}, with ${Object.keys(made.kinds).length} kinds of errors:\n`,
    )
    return await importSample(io, api, file, made)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function importSample(io: Io, api: Api, file: string, made: SampleReport): Promise<ExitCode> {
  const display = createDisplay(io)
  const startedAt = performance.now()
  const fields = { dataset: DATASET, from: made.from, to: made.to }
  const { id } = await uploadImport(
    api,
    { path: file, name: basename(file) },
    fields,
    randomUUID(),
    (progress) => display.show(uploadFacts(progress, (performance.now() - startedAt) / 1000)),
  )
  const job = await waitForJob(io, api, id, display)
  const report = await readReport(api, id)
  io.out(`\n${renderSummary(job, { report }, io.program)}`)
  if (outcomeOfJob(job) === 'failed') return EXIT.failed
  const checks = compare(made, job, report.rejects)
  io.out(`\n${renderChecks(checks)}\n\n${lookNext(io, api.url)}`)
  return checks.every(({ expected, found }) => expected === found) ? EXIT.loaded : EXIT.error
}

/** A count of an import, and its expected value. */
export interface Check {
  figure: string
  expected: number
  found: number | null
}

/** Returns all counts of an import that a sample determines. */
export function compare(
  made: SampleReport,
  job: Pick<Job, 'counts'>,
  reasons: readonly ReasonGroup[],
): Check[] {
  const { counts } = job
  const found = new Map(reasons.map(({ column, code, rejects }) => [reasonName(column, code), rejects]))
  const expected = new Map(
    made.reasons.map(({ column, code, rejects }) => [reasonName(column, code), rejects]),
  )
  const names = [...new Set([...expected.keys(), ...found.keys()])]
  return [
    { figure: 'records', expected: made.records, found: counts.records },
    { figure: 'loaded', expected: made.good, found: counts.loaded },
    { figure: 'quarantined', expected: made.rejected, found: counts.quarantined },
    { figure: 'duplicates', expected: made.duplicates, found: counts.duplicates },
    { figure: 'conflicts', expected: made.conflicts, found: counts.conflicts },
    ...names.map((figure) => ({
      figure,
      expected: expected.get(figure) ?? 0,
      found: found.get(figure) ?? 0,
    })),
  ]
}

function reasonName(column: string | null, code: string): string {
  return `${code} (${column ?? 'record'})`
}

/** Returns one line if all counts match; otherwise those that differ. */
function renderChecks(checks: readonly Check[]): string {
  const wrong = checks.filter(({ expected, found }) => expected !== found)
  if (wrong.length === 0)
    return `All ${checks.length} figures match the sample: no record was lost or loaded twice, and every reject has its reason.`
  return `${wrong.length} of ${checks.length} figures do not match the sample:\n${renderTable(
    [{ title: 'figure' }, { title: 'expected', right: true }, { title: 'found', right: true }],
    wrong.map(({ figure: what, expected, found }) => [
      what,
      figure(expected),
      found === null ? 'unknown' : figure(found),
    ]),
  )}`
}

function lookNext(io: Io, url: string): string {
  const places: [string, string][] = [
    [`${url}/docs`, 'API reference'],
    [`${url}/admin/queues`, 'Bull Board: the queues, and the import as a tree'],
    [`${io.program} login --url ${url}`, 'log in for these commands'],
    [`${io.program} jobs`, 'list the jobs'],
    [`${io.program} import FILE -d ${DATASET}`, 'import your own file'],
  ]
  const width = Math.max(...places.map(([place]) => place.length))
  return ['Next steps:', ...places.map(([place, what]) => `  ${place.padEnd(width)}  ${what}`)].join('\n')
}

/**
 * Returns the latest two whole months before `now` that no import has declared as its window, so that a demo never replaces
 * rows of other imports.
 */
export function freePeriod(jobs: readonly Pick<Job, 'parameters'>[], now: Date): { from: Day; to: Day } {
  const taken = jobs.flatMap(({ parameters: { from, to } }) =>
    typeof from === 'string' && typeof to === 'string' ? [{ from, to }] : [],
  )
  for (let back = 2; ; back += 2) {
    const period = twoMonths(now.getUTCFullYear(), now.getUTCMonth() - back)
    if (!taken.some(({ from, to }) => from < period.to && period.from < to)) return period
  }
}
