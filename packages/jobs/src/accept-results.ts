import { RUNS_USER_ID } from '@aduana/contracts/identity'
import { type AnnouncedManifest, RESULTS_DATASET } from '@aduana/contracts/metrics/manifest'
import { readDataset } from '@aduana/datasets/registry'
import type { Tx } from '@aduana/db/database'
import { newJobId, refuseOutlandish } from './accept.ts'
import { enterImport } from './enter-import.ts'
import type { Window } from './windows.ts'

/** The results of a run as its runner has announced them. */
export interface AnnouncedResults {
  manifest: AnnouncedManifest
  rowCount: number
  /** The days that they are of, from the first to the last. */
  days: { from: string; to: string }
  /** Of which companies and warehouses they may be; null: of all, and of none. */
  companies: readonly string[] | null
  warehouses: readonly string[] | null
}

/**
 * Accept the results of a run as an import: a job like any other, which collects the files of the manifest before it
 * parses them. It is never refused for want of room, because nobody would send them again. Answers the id of the job.
 * @throws ProblemError `bad_window` for days that no data can be of
 */
export async function acceptResults(tx: Tx, results: AnnouncedResults): Promise<string> {
  const { manifest, rowCount, days } = results
  const dataset = await readDataset(tx, RESULTS_DATASET)
  refuseOutlandish(dataset.definition, days.from, days.to)
  const jobId = newJobId()
  const scope = manifest.metric
  const window: Window = { scope, ...days }
  const name = manifest.url.slice(manifest.url.lastIndexOf('/') + 1)
  await enterImport(tx, {
    jobId,
    dataset,
    owner: {
      userId: RUNS_USER_ID,
      // Of a tenant of their own, so that they neither hold up the files of people nor wait for all of them.
      tenant: 'runs',
      companies: results.companies === null ? null : [...results.companies],
      warehouses: results.warehouses === null ? null : [...results.warehouses],
    },
    // A runner may come to the same results again: equal bytes are no mistake.
    force: true,
    file: { name, bytes: 0, sha256: manifest.sha256 },
    manifest,
    expectedRecords: rowCount,
    mode: 'replace-window',
    window,
    onConflict: 'wait',
    dryRun: false,
    requireApproval: false,
    priority: 0,
    encoding: 'utf-8',
    delimiter: ',',
    parameters: { ...manifest, fileName: name, rowCount, ...days },
  })
  return jobId
}
