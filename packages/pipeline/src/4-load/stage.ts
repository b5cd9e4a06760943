import { failPoint } from '@aduana/runtime/fail-points'
import type { Stage, StageJob, StageResult } from '../stage.ts'
import { fetchFile } from '../stage-files.ts'
import { ParseOutput, readOutput, ValidateOutput } from '../stage-outputs.ts'
import { planFreshPartitions, withFreshPartitions } from './fresh-partitions.ts'
import { holdLease } from './hold-lease.ts'
import { publish } from './publish.ts'
import { replacedDays } from './replaced-days.ts'
import { surrogates } from './surrogates.ts'
import { claimOrPark, windowsOf } from './windows.ts'

/**
 * Load: waits for its window, looks up the surrogate ids, and publishes the clean rows in one fenced transaction
 * together with the ledger, the dataset update and the state of the job.
 */
export const load: Stage = { name: 'load', work }

async function work(job: StageJob): Promise<StageResult> {
  const { context, facts, run } = job
  const parsed = await readOutput(context.db, run.jobId, 'parse', ParseOutput)
  const validated = await readOutput(context.db, run.jobId, 'validate', ValidateOutput)
  const windows = windowsOf(facts, validated)
  if (!(await claimOrPark(job, windows))) {
    await failPoint('load.after-park', String(facts.importNo))
    return { kind: 'park', reason: 'waits for its window' }
  }
  await failPoint('load.after-claim', String(facts.importNo))

  const held = await holdLease(job)
  if (!held) return { kind: 'snooze', milliseconds: 2000, reason: 'another process holds the lease' }
  const leased = { ...job, signal: held.signal }
  try {
    const clean = await fetchFile(leased, 'clean.parquet')
    const source = { clean, members: await surrogates(leased, clean), lastRecord: parsed.records }
    await failPoint('load.after-members', String(facts.importNo))
    const meter = { copied: 0, total: validated.clean }
    const replaced = replacedDays(job, windows, validated)
    const fresh = await planFreshPartitions(leased, validated, replaced)
    await withFreshPartitions(leased, fresh, source, meter, () =>
      publish(leased, { lease: held.lease, windows, source, replaced, fresh, meter, validated }),
    )
    return { kind: 'committed' }
  } finally {
    await held.release()
  }
}
