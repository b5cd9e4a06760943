import { RUNS_USER_ID } from '@aduana/contracts/identity'
import { type AnnouncedManifest, RESULTS_DATASET } from '@aduana/contracts/metrics/manifest'
import { readDataset } from '@aduana/datasets/registry'
import type { Tx } from '@aduana/db/database'
import type { Window } from '../windows/windows.ts'
import { assertPlausibleWindow, newJobId } from './accept-import.ts'
import { insertImport } from './insert-import.ts'

/** The results of a metric run, as announced by its runner. */
export interface AnnouncedResults {
  manifest: AnnouncedManifest
  rowCount: number
  /** The days that the results belong to. */
  days: { from: string; to: string }
  /** The companies and warehouses that the results may belong to; null allows all, and rows without one. */
  companies: readonly string[] | null
  warehouses: readonly string[] | null
}

/**
 * Accepts the results of a metric run as an import and returns the id of its job. The job downloads the files of the
 * manifest before it parses them. The queue capacity does not apply, because results that are refused are never sent again.
 * @throws ProblemError `bad_window` for days outside the range of the dataset
 */
export async function acceptResults(tx: Tx, results: AnnouncedResults): Promise<string> {
  const { manifest, rowCount, days } = results
  const dataset = await readDataset(tx, RESULTS_DATASET)
  assertPlausibleWindow(dataset.definition, days.from, days.to)
  const jobId = newJobId()
  const scope = manifest.metric
  const window: Window = { scope, ...days }
  const name = manifest.url.slice(manifest.url.lastIndexOf('/') + 1)
  await insertImport(tx, {
    jobId,
    dataset,
    owner: {
      userId: RUNS_USER_ID,
      // Results have their own tenant, so that they do not delay uploads and are not delayed by all of them.
      tenant: 'runs',
      companies: results.companies === null ? null : [...results.companies],
      warehouses: results.warehouses === null ? null : [...results.warehouses],
    },
    // A metric can be computed again with the same result, so identical bytes are allowed.
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
