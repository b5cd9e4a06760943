import { randomUUID } from 'node:crypto'
import { addDays } from '@aduana/contracts/dates'
import { saveDataset } from '@aduana/datasets/save/save-dataset'
import { inTransaction } from '@aduana/db/database'
import { inTransactionOnConnection } from '@aduana/db/single-connection'
import {
  acceptProjectionUpdateAs,
  cancelRunAs,
  recomputeMetricAs,
  retireMetricAs,
  retryRunAs,
  saveMetricAs,
  saveSeriesAs,
} from '@aduana/metrics/commands'
import { consumeMessages } from '@aduana/metrics/inbox/consume'
import { DATASET_DEPENDENTS } from '@aduana/metrics/registry/dataset-dependents'
import { publishResults } from '@aduana/metrics/results/publish'
import { claimRuns } from '@aduana/metrics/runner/claim'
import { computeRuns } from '@aduana/metrics/runner/compute-runs'
import { checkExpired, checkFailedImports, checkTimeouts } from '@aduana/metrics/runs/maintenance'
import { pruneRuns } from '@aduana/metrics/runs/prune'
import { completeRuns, recordHeartbeats, requeueRuns } from '@aduana/metrics/runs/runner-events'
import { fanOutUpdate } from '@aduana/metrics/updates/fan-out'
import { pruneUpdates } from '@aduana/metrics/updates/prune'
import { deliver } from '@aduana/outbox/deliver'
import { createLogger } from '@aduana/runtime/logger'
import type { Transaction } from '../interleave.ts'
import { otherPlacement } from '../jobs/transactions.ts'
import type { Session } from '../session.ts'
import {
  dayRange,
  FIRST_DAY,
  lowMetric,
  type MetricWorld,
  type MetricWorldName,
  REPORTED_DAY,
  REQUESTED_DAY,
  RESULTS,
  updateOf,
} from './worlds.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
/** A moment after every retention has ended. */
const LONG_AFTER = { now: new Date('2099-01-01'), days: 7 }
const BROKEN = { code: 'broken', detail: 'It failed.' }

/** Returns the fields that identify the run of a world in messages of a runner. */
const runOf = ({ run: runId, attempt }: MetricWorld) => ({ runId, attempt, at: new Date().toISOString() })
const SUCCEEDED = { status: 'succeeded', rowCount: 0, days: dayRange(FIRST_DAY) } as const

/** Consumes a message of an external runner. @throws Error when it would have to be delivered again */
async function receive({ db }: Session, type: string, data: object): Promise<void> {
  const event = { specversion: '1.0', id: randomUUID(), source: '/outside', type, data }
  const message = { id: randomUUID(), text: JSON.stringify(event), receives: 1 }
  const [verdict] = await consumeMessages({ db, logger, queue: 'queue' }, [message])
  if (verdict !== 'done') throw new Error(`the message ${type} was not consumed: ${verdict}`)
}

/** Every transaction that changes a run, an update or the definition of a metric, by name. */
export const METRIC_TRANSACTIONS = {
  'fan out the update': async ({ db }, { update }) => {
    await inTransaction(db, (tx) => fanOutUpdate(tx, update))
  },
  'report an update': ({ db }, { admin }) =>
    acceptProjectionUpdateAs(db, admin, updateOf('production', REPORTED_DAY)),
  recompute: ({ db }, { admin }) =>
    recomputeMetricAs(db, admin, 'low', { from: REQUESTED_DAY, to: addDays(REQUESTED_DAY, 1) }),
  begin: async ({ db, name }, { run, begun }) => {
    const { runs } = await claimRuns(db, run, `runner ${name}`)
    begun.push(...runs)
  },
  heartbeat: ({ db }, world) => inTransaction(db, (tx) => recordHeartbeats(tx, [runOf(world)])),
  'commit values': ({ pool }, { begun, run, attempt }) =>
    computeRuns(begun.filter((one) => one.runId === run && one.attempt === attempt).slice(0, 1), {
      pool,
      logger,
      runner: 'runner 1',
      signal: new AbortController().signal,
      onBlocking,
      onProgress,
    }),
  fail: ({ db }, world) =>
    inTransaction(db, (tx) => completeRuns(tx, [{ ...runOf(world), status: 'failed', error: BROKEN }])),
  requeue: ({ db }, { run: runId, attempt }) =>
    inTransaction(db, (tx) => requeueRuns(tx, [{ runId, attempt }])),
  'check timeouts': ({ db }) => checkTimeouts(db, logger),
  'check expired runs': ({ db }) => checkExpired(db, logger),
  'check failed imports': ({ db }) => checkFailedImports(db, logger),
  cancel: ({ db }, { admin, run }) => cancelRunAs(db, admin, run),
  retry: ({ db }, { admin, run }) => retryRunAs(db, admin, run),
  'save the metric': ({ db }, { admin, runner }) => saveMetricAs(db, admin, 'low', lowMetric(runner, true)),
  'prune runs': ({ db }) => pruneRuns(db, LONG_AFTER),
  'prune updates': ({ db }) => pruneUpdates(db, LONG_AFTER),
  'save a series': ({ db }, { admin }) =>
    saveSeriesAs(db, admin, {
      ...{ code: 'orders.all', dataset: 'orders', column: null },
      title: { en: 'Rows', es: 'Filas' },
    }),
  'save the dataset': ({ db }, { admin }) =>
    inTransaction(db, async (tx) =>
      saveDataset(tx, DATASET_DEPENDENTS, await otherPlacement(db), admin.userId),
    ),
  'retire the dependent metric': ({ db }, { admin }) => retireMetricAs(db, admin, 'high'),
  deliver: ({ db }, { sent }) =>
    deliver({
      db,
      logger,
      destinations: [
        {
          name: 'outside',
          wants: () => true,
          send: async (events) => {
            sent.push(...events.map(({ key }) => key))
            return new Map()
          },
        },
      ],
    }),
  'receive started': (session, world) =>
    receive(session, 'aduana.metric_run.started', { ...runOf(world), runner: 'outside' }),
  'receive heartbeat': (session, world) => receive(session, 'aduana.metric_run.heartbeat', runOf(world)),
  'receive completed': (session, world) =>
    receive(session, 'aduana.metric_run.completed', { ...runOf(world), ...SUCCEEDED }),
  'receive failed': (session, world) =>
    receive(session, 'aduana.metric_run.completed', { ...runOf(world), status: 'failed', error: BROKEN }),
  'receive results': (session, world) =>
    receive(session, 'aduana.metric_run.completed', { ...runOf(world), ...SUCCEEDED, manifest: RESULTS }),
  'publish the results': ({ pool }, { job }) =>
    inTransactionOnConnection(pool, (tx, client) => {
      if (job === undefined) throw new Error('the world has no results')
      return publishResults(tx, client, job)
    }),
} satisfies Record<string, Transaction<MetricWorld>>

const onBlocking = () => undefined
const onProgress = () => undefined

export type MetricTransactionName = keyof typeof METRIC_TRANSACTIONS

const CHANGES = ['fan out the update', 'report an update', 'recompute', 'cancel', 'save the metric'] as const
const OUTSIDE = [
  'receive started',
  'receive heartbeat',
  'receive completed',
  'receive failed',
  'receive results',
] as const

/** The transactions that are combined in each world. Every pair is tested, also each transaction with itself. */
export const METRIC_COMBINATIONS = {
  'waits for a dataset': [
    ...CHANGES,
    'check expired runs',
    'save the dataset',
    'save a series',
    'retire the dependent metric',
  ],
  'is requested': [...CHANGES, 'begin', 'check timeouts', 'deliver', 'save the dataset'],
  'has a silent runner': [
    ...CHANGES,
    'commit values',
    'heartbeat',
    'fail',
    'requeue',
    'check timeouts',
    'retire the dependent metric',
  ],
  'has timed out': ['fan out the update', 'commit values', 'heartbeat', 'fail', 'check timeouts', 'cancel'],
  'has failed': ['prune runs', 'retry', 'fan out the update', 'recompute', 'save the metric'],
  'has expired': [
    'prune runs',
    'prune updates',
    'retry',
    'fan out the update',
    'report an update',
    'recompute',
  ],
  'depends on another run': [
    'prune runs',
    'retire the dependent metric',
    'begin',
    'cancel',
    'save the metric',
    'fan out the update',
  ],
  'is requested from an external runner': [
    ...OUTSIDE,
    'deliver',
    'check timeouts',
    'cancel',
    'fan out the update',
    'save the metric',
  ],
  'has a silent external runner': [...OUTSIDE, 'check timeouts', 'cancel', 'fan out the update', 'recompute'],
  'waits for the import of its results': [
    'publish the results',
    'receive completed',
    'receive failed',
    'receive heartbeat',
    'cancel',
    'save the metric',
    'retire the dependent metric',
    'check timeouts',
    'report an update',
  ],
  'has lost the import of its results': [
    'check failed imports',
    'receive results',
    'cancel',
    'fan out the update',
  ],
} satisfies Record<MetricWorldName, readonly MetricTransactionName[]>
