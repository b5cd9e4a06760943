import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Day } from '@aduana/contracts/dates'
import { figure } from '@aduana/contracts/figures'
import type { Api } from '../api/api.ts'
import { listJobs, readReport } from '../api/calls.ts'
import { uploadImport } from '../api/upload.ts'
import { compare, freePeriod } from '../commands/demo.ts'
import { waitForJob } from '../commands/wait.ts'
import type { Io } from '../io.ts'
import type { SampleName } from '../sample/sample.ts'
import { writeSample } from '../sample/write.ts'
import { createDisplay } from '../show/display.ts'

/** Prefix of the names of test data files, which identifies their imports. */
const TESTDATA_FILE = 'testdata-'

const DATASETS: readonly SampleName[] = ['production', 'orders']
const KNOWN_IMPORTS = 500

/**
 * Imports `files` files of each dataset, each with `rows` records, known errors and its own two months. Returns true if the
 * counts of all imports match.
 */
export async function importTestData(
  io: Io,
  api: Api,
  { files, rows }: { files: number; rows: number },
): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'aduana-testdata-'))
  let right = true
  try {
    for (let file = 0; file < files; file += 1) {
      const period = freePeriod(
        await listJobs(api, { dataset: 'production', limit: KNOWN_IMPORTS }),
        new Date(),
      )
      for (const dataset of DATASETS)
        right = (await importFile(io, api, folder, { dataset, rows, period })) && right
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return right
}

interface TestFile {
  dataset: SampleName
  rows: number
  period: { from: Day; to: Day }
}

async function importFile(
  io: Io,
  api: Api,
  folder: string,
  { dataset, rows, period }: TestFile,
): Promise<boolean> {
  const path = join(folder, `${TESTDATA_FILE}${dataset}-${period.from.slice(0, 7)}.csv`)
  // A new seed each time: the same file would be refused as already imported.
  const made = await writeSample(
    path,
    { dataset, rows, seed: Date.now(), clean: false, ...period },
    io.signal,
  )
  const window = dataset === 'production' ? period : {}
  const { id } = await uploadImport(
    api,
    { path, name: basename(path) },
    { dataset, ...window },
    randomUUID(),
    () => undefined,
  )
  const job = await waitForJob(io, api, id, createDisplay(io))
  const wrong = compare(made, job, (await readReport(api, id)).rejects).filter(
    ({ expected, found }) => expected !== found,
  )
  const { loaded, quarantined, duplicates, conflicts } = job.counts
  io.out(
    `${dataset}, ${period.from} to ${period.to}: ${job.status}, ${figure(loaded ?? 0)} loaded, ` +
      `${figure(quarantined ?? 0)} quarantined, ${figure(duplicates ?? 0)} duplicates, ${figure(conflicts ?? 0)} conflicts` +
      wrong
        .map(({ figure, expected, found }) => `\n  ${figure}: ${expected} expected, ${found} found`)
        .join(''),
  )
  return job.status === 'COMPLETED' && wrong.length === 0
}
