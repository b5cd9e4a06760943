import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Principal } from '@aduana/contracts/identity'
import type { Job } from '@aduana/contracts/jobs'
import { STAGE_NAMES, type StageName } from '@aduana/contracts/stages'
import { UndoRequest } from '@aduana/contracts/undo'
import { registerDatasets } from '@aduana/datasets/registry'
import { admit } from '@aduana/jobs/dispatch/dispatch'
import { readJob } from '@aduana/jobs/read/jobs'
import { undoImport } from '@aduana/jobs/undo/undo-import'
import type { StageOutcome } from '@aduana/queue/outcome'
import { createInstallation, type Installation } from '@aduana/testkit/installation'
import type { PipelineContext } from '../stage.ts'
import { executeStage } from '../stage-attempt.ts'
import { PIPELINE } from '../stages.ts'
import { openContext } from './context.ts'

type Form = { dataset: string } & Record<string, string>

/** A pipeline whose stages execute in the process of the test, so that a test can act between any two steps. */
export interface TestPipeline {
  system: Installation
  context: PipelineContext
  /** Accepts a file and admits its job. No stage has begun yet. */
  accept(content: string, form: Form, as?: Principal): Promise<string>
  /** Accepts an undo of an import and admits its job. */
  acceptUndo(importId: string, options?: { unwind?: boolean }): Promise<string>
  /** Admits the queued jobs, as the dispatcher does. */
  admit(): Promise<void>
  /** Delivers the stages of a job, beginning with `from`, until one is not done or `last` is. Returns the last outcome. */
  run(jobId: string, options?: { from?: StageName; last?: StageName }): Promise<StageOutcome>
  /** Accepts a file, executes all stages, and returns the job as an admin sees it. */
  import(content: string, form: Form, as?: Principal): Promise<Job>
  job(jobId: string): Promise<Job>
  /** Returns the rows of a query. */
  rows(query: string, values?: unknown[]): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

/**
 * Opens a pipeline over a database of its own, with `datasets` in addition to the shipped ones; `tables` is the DDL of
 * their tables.
 */
export async function openPipeline(
  datasets: readonly DatasetDefinition[] = [],
  tables = 'select',
): Promise<TestPipeline> {
  const system = await createInstallation()
  const { db, pool } = system.database
  await pool.query(tables)
  await registerDatasets(db, datasets)
  const { context, close: closeContext } = await openContext(system)
  const delivery = { signal: new AbortController().signal, lastTry: true }
  const admitAll = async () => {
    await admit(db, { maxActive: 100, maxActivePerTenant: 100 })
  }
  const run: TestPipeline['run'] = async (jobId, { from = 'parse', last = 'fan-out' } = {}) => {
    const { rows } = await pool.query('select attempt, type from jobs where id = $1', [jobId])
    const first = rows[0].type === 'undo' ? 'load' : from
    const due = PIPELINE.slice(STAGE_NAMES.indexOf(first), STAGE_NAMES.indexOf(last) + 1)
    let outcome: StageOutcome = { kind: 'done' }
    for (const stage of due) {
      outcome = await executeStage(context, stage, { jobId, attempt: rows[0].attempt }, delivery)
      if (outcome.kind !== 'done') break
    }
    return outcome
  }
  const accept: TestPipeline['accept'] = async (content, form, as = system.admin) => {
    const jobId = await system.accept(content, { force: 'true', ...form }, as)
    await admitAll()
    return jobId
  }
  const job = (jobId: string) => readJob(db, system.admin, jobId)
  return {
    system,
    context,
    accept,
    acceptUndo: async (importId, { unwind = false } = {}) => {
      const accepted = await undoImport(
        { db, maxQueued: 1000 },
        system.admin,
        importId,
        UndoRequest.parse({ unwind }),
      )
      await admitAll()
      return accepted.body.id
    },
    admit: admitAll,
    run,
    import: async (content, form, as) => {
      const jobId = await accept(content, form, as)
      await run(jobId)
      return job(jobId)
    },
    job,
    rows: async (query, values = []) => (await pool.query(query, values)).rows,
    close: async () => {
      await closeContext()
      await system.close()
    },
  }
}
