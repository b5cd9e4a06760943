import { tmpdir } from 'node:os'
import { createDiskStore } from '@aduana/artifacts/disk-store'
import type { ArtifactStore } from '@aduana/artifacts/store'
import { saveDataset } from '@aduana/datasets/save/save-dataset'
import { SHIPPED } from '@aduana/datasets/shipped'
import { type Database, inTransaction } from '@aduana/db/database'
import { admit, wakeWaiters } from '@aduana/jobs/dispatch/dispatch'
import { failLostJob } from '@aduana/jobs/dispatch/reconcile'
import { approveJob } from '@aduana/jobs/lifecycle/approve'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { completeJob } from '@aduana/jobs/lifecycle/finish'
import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { applyRetention } from '@aduana/jobs/retention/apply'
import { pruneJobs } from '@aduana/jobs/retention/prune-jobs'
import { recordHeartbeat } from '@aduana/jobs/stage-attempts/heartbeat'
import { beginStage, commitStage } from '@aduana/jobs/stage-attempts/stage-attempts'
import { undoImport } from '@aduana/jobs/undo/undo-import'
import { takeLease } from '@aduana/jobs/windows/leases'
import { takeOverWork } from '@aduana/jobs/workers/take-over'
import { DATASET_DEPENDENTS } from '@aduana/metrics/registry/dataset-dependents'
import { inFencedTransaction, markLoaded } from '@aduana/pipeline/4-load/fenced'
import { claimOrPark } from '@aduana/pipeline/4-load/windows'
import { endAfterError, endAttempt } from '@aduana/pipeline/stage-attempt'
import { createLogger } from '@aduana/runtime/logger'
import type { Transaction } from '../interleave.ts'
import type { Session } from '../session.ts'
import { accept, DAYS, LIMITS, WINDOW, type World, type WorldName } from './worlds.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
/** A moment after every retention has ended. */
const LONG_AFTER = { now: new Date('2099-01-01'), days: 7 }
/** The files of the worlds do not exist. Only the database decides about them. */
const NO_FILES: ArtifactStore = { ...createDiskStore(tmpdir()), remove: async () => undefined }
const delivery = { signal: new AbortController().signal, lastTry: true }
const counts = {
  records: 1,
  loaded: 1,
  inserted: 1,
  updated: 0,
  unchanged: 0,
  removed: 0,
  quarantined: 0,
  duplicates: 0,
  conflicts: 0,
}
const figures = {
  progress: 80,
  message: 'alive',
  totalItems: null,
  processedItems: null,
  rowsPerSecond: null,
  etaSeconds: null,
}
const contextOf = ({ db, pool }: Session) => ({ db, pool, logger })
const stageAttemptOf = ({ stageAttempt }: World) => {
  if (!stageAttempt) throw new Error('the world has no open stage attempt')
  return stageAttempt
}

/** Every transaction that changes a job, its windows or its dataset's definition, by name. */
export const TRANSACTIONS = {
  accept: ({ db }, { admin }) => accept(db, admin, { ...DAYS, onConflict: 'wait' }),
  'accept or refuse': ({ db }, { admin }) => accept(db, admin, DAYS),
  'accept the same bytes': ({ db }, { admin, sha256 }) => accept(db, admin, {}, sha256),
  wake: ({ db }) => wakeWaiters(db),
  admit: ({ db }) => admit(db, LIMITS),
  cancel: ({ db }, { admin, job }) => cancelJob(db, admin, job),
  retry: ({ db }, { admin, job }) => retryJob(db, admin, job),
  approve: ({ db }, { admin, job }) => approveJob(db, admin, job, {}),
  undo: ({ db }, { admin, job }) => undoImport({ db, maxQueued: 1000 }, admin, job, { unwind: false }),
  'begin a stage': ({ db }, { job, stageAttempt }) =>
    beginStage(db, { jobId: job, attempt: 1 }, stageAttempt?.stage ?? 'parse', 'worker 2'),
  heartbeat: ({ db }, world) => recordHeartbeat(db, stageAttemptOf(world), figures),
  claim: async (session, world) => {
    const datasetId = await datasetOf(session.db, world.job)
    const job = {
      context: contextOf(session),
      facts: { datasetId },
      stageAttempt: stageAttemptOf(world),
      signal: delivery.signal,
    }
    return claimOrPark(job, [WINDOW])
  },
  'take the lease': ({ db }, { job }) => takeLease(db, job, 'worker 2/1.2'),
  load: async (session, world) => {
    const stageAttempt = stageAttemptOf(world)
    if (!world.lease) throw new Error('the world has no lease')
    const context = contextOf(session)
    await inFencedTransaction({ context, stageAttempt }, world.lease, async (tx) => {
      await markLoaded(tx, { stageAttempt }, { message: 'Loaded' })
      await commitStage(tx, stageAttempt, {})
    })
  },
  'commit a stage': async (session, world) => {
    const stageAttempt = stageAttemptOf(world)
    return endAttempt(contextOf(session), stageAttempt, 1, {
      kind: 'done',
      commit: async (tx) => {
        if (stageAttempt.stage === 'fan-out') await completeJob(tx, stageAttempt, counts, 'Completed')
        return {}
      },
    })
  },
  'fail a stage': (session, world) =>
    endAttempt(contextOf(session), stageAttemptOf(world), 1, {
      kind: 'fail',
      failure: { code: 'internal', detail: 'It failed.' },
    }),
  'postpone a stage': (session, world) =>
    endAttempt(contextOf(session), stageAttemptOf(world), 1, {
      kind: 'snooze',
      milliseconds: 1,
      reason: 'later',
    }),
  'end after an error': (session, world) =>
    endAfterError(
      contextOf(session),
      stageAttemptOf(world),
      new Error('broken'),
      { ...delivery, lastTry: false },
      undefined,
    ),
  'end after a cancellation': (session, world) =>
    endAfterError(contextOf(session), stageAttemptOf(world), new Error('stopped'), delivery, 'cancel'),
  'report lost work': ({ db }, { job, stageAttempt }) =>
    failLostJob(db, { jobId: job, attempt: 1 }, stageAttempt?.stage ?? 'parse', 'stalled'),
  'take over the work': ({ db }, { job }) => {
    const heldBy = async () => [{ jobId: job, attempt: 1 }]
    return takeOverWork({ db, flows: { heldBy }, logger }, 'worker 1')
  },
  'prune history': ({ db }) => pruneJobs(db, LONG_AFTER),
  'expire files': ({ db }) => applyRetention(db, NO_FILES, logger, LONG_AFTER.now),
  'save the definition': ({ db }, { admin }) =>
    inTransaction(db, async (tx) =>
      saveDataset(tx, DATASET_DEPENDENTS, await otherPlacement(db), admin.userId),
    ),
} satisfies Record<string, Transaction<World>>

export type TransactionName = keyof typeof TRANSACTIONS

async function datasetOf(db: Database, job: string): Promise<string> {
  const row = await db
    .selectFrom('imports')
    .select('dataset_id')
    .where('job_id', '=', job)
    .executeTakeFirstOrThrow()
  return row.dataset_id
}

/** Returns the definition of `orders` with another time zone than the current one. */
export async function otherPlacement(db: Database) {
  const orders = SHIPPED.find(({ code }) => code === 'orders')
  if (!orders) throw new Error('orders is not shipped')
  const row = await db
    .selectFrom('dataset_versions as v')
    .innerJoin('datasets as d', (join) =>
      join.onRef('d.id', '=', 'v.dataset_id').onRef('d.current_version', '=', 'v.version'),
    )
    .select('v.version')
    .where('d.code', '=', 'orders')
    .executeTakeFirstOrThrow()
  const timeZone = row.version % 2 === 0 ? 'UTC' : 'Europe/Madrid'
  return {
    ...orders,
    columns: orders.columns.map((column) => (column.name === 'timestamp' ? { ...column, timeZone } : column)),
  }
}

/** The transactions that are combined in each world. Every pair is tested, also each transaction with itself. */
export const COMBINATIONS = {
  'waits for a free window': ['wake', 'cancel', 'admit', 'accept', 'accept or refuse', 'save the definition'],
  'is the first waiter': ['wake', 'cancel', 'admit'],
  'is about to claim': [
    'claim',
    'cancel',
    'accept',
    'accept or refuse',
    'wake',
    'heartbeat',
    'begin a stage',
    'fail a stage',
    'end after a cancellation',
    'report lost work',
    'take over the work',
  ],
  'holds its lease': [
    'load',
    'cancel',
    'heartbeat',
    'take the lease',
    'begin a stage',
    'commit a stage',
    'fail a stage',
    'postpone a stage',
    'end after an error',
    'end after a cancellation',
    'report lost work',
    'take over the work',
    'accept',
  ],
  'has a silent worker': [
    'load',
    'begin a stage',
    'take the lease',
    'fail a stage',
    'cancel',
    'wake',
    'take over the work',
  ],
  'has failed': [
    'retry',
    'accept',
    'accept or refuse',
    'accept the same bytes',
    'save the definition',
    'admit',
    'expire files',
    'prune history',
  ],
  'waits for approval': ['approve', 'cancel', 'admit', 'wake', 'begin a stage', 'accept'],
  'is in its fan-out': [
    'commit a stage',
    'begin a stage',
    'cancel',
    'fail a stage',
    'report lost work',
    'take over the work',
    'heartbeat',
  ],
  'is completed': [
    'undo',
    'accept',
    'accept the same bytes',
    'save the definition',
    'cancel',
    'retry',
    'expire files',
    'prune history',
  ],
} satisfies Record<WorldName, readonly TransactionName[]>

/** Pairs of which only one transaction can succeed, in any order. */
export const EXCLUSIVE: readonly (readonly [WorldName, TransactionName, TransactionName])[] = [
  ['holds its lease', 'load', 'fail a stage'],
  ['has failed', 'retry', 'retry'],
  ['has failed', 'retry', 'accept the same bytes'],
  ['waits for approval', 'approve', 'approve'],
  ['is completed', 'undo', 'undo'],
  ['is completed', 'undo', 'accept the same bytes'],
]

/** Three transactions that contend for the same rows. */
export const TRIPLES: readonly (readonly [WorldName, TransactionName, TransactionName, TransactionName])[] = [
  ['waits for a free window', 'wake', 'wake', 'cancel'],
  ['is the first waiter', 'wake', 'cancel', 'wake'],
  ['is about to claim', 'claim', 'cancel', 'accept'],
  ['waits for approval', 'approve', 'cancel', 'approve'],
]
