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
import { otherPlacement } from '../jobs/transactions.ts'
import type { Transaction } from '../meeting.ts'
import type { Session } from '../session.ts'
import {
  ASKED_DAY,
  dayRange,
  FIRST_DAY,
  lowMetric,
  type MetricWorld,
  type MetricWorldName,
  RESULTS,
  TOLD_DAY,
  updateOf,
} from './worlds.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
/** A moment after every retention has ended. */
const LONG_AFTER = { now: new Date('2099-01-01'), days: 7 }
const BROKEN = { code: 'broken', detail: 'It failed.' }

/** The run of a world, as a runner names it in its messages. */
const told = ({ run: runId, attempt }: MetricWorld) => ({ runId, attempt, at: new Date().toISOString() })
const SUCCEEDED = { status: 'succeeded', rowCount: 0, days: dayRange(FIRST_DAY) } as const

/** Processes a message of a runner outside, as a queue delivers it. @throws Error when it would have to be delivered again */
async function hear({ db }: Session, type: string, data: object): Promise<void> {
  const event = { specversion: '1.0', id: randomUUID(), source: '/outside', type, data }
  const message = { id: randomUUID(), text: JSON.stringify(event), receives: 1 }
  const [verdict] = await consumeMessages({ db, logger, queue: 'queue' }, [message])
  if (verdict !== 'done') throw new Error(`the message ${type} was not taken in: ${verdict}`)
}

/** Every transaction that changes a run, an update or the definition of a metric, by name. */
export const METRIC_TRANSACTIONS = {
  'pass the update on': async ({ db }, { update }) => {
    await inTransaction(db, (tx) => fanOutUpdate(tx, update))
  },
  'tell of an update': ({ db }, { admin }) =>
    acceptProjectionUpdateAs(db, admin, updateOf('production', TOLD_DAY)),
  recompute: ({ db }, { admin }) =>
    recomputeMetricAs(db, admin, 'low', { from: ASKED_DAY, to: addDays(ASKED_DAY, 1) }),
  begin: async ({ db, name }, { run, begun }) => {
    const { runs } = await claimRuns(db, run, `runner ${name}`)
    begun.push(...runs)
  },
  beat: ({ db }, world) => inTransaction(db, (tx) => recordHeartbeats(tx, [told(world)])),
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
    inTransaction(db, (tx) => completeRuns(tx, [{ ...told(world), status: 'failed', error: BROKEN }])),
  'give back': ({ db }, { run: runId, attempt }) =>
    inTransaction(db, (tx) => requeueRuns(tx, [{ runId, attempt }])),
  'look after silent runs': ({ db }) => checkTimeouts(db, logger),
  'look after pending runs': ({ db }) => checkExpired(db, logger),
  'look after results': ({ db }) => checkFailedImports(db, logger),
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
  'retire the metric above': ({ db }, { admin }) => retireMetricAs(db, admin, 'high'),
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
  'hear of the start': (session, world) =>
    hear(session, 'aduana.metric_run.started', { ...told(world), runner: 'outside' }),
  'hear a sign of life': (session, world) => hear(session, 'aduana.metric_run.heartbeat', told(world)),
  'hear of the end': (session, world) =>
    hear(session, 'aduana.metric_run.completed', { ...told(world), ...SUCCEEDED }),
  'hear of a failure': (session, world) =>
    hear(session, 'aduana.metric_run.completed', { ...told(world), status: 'failed', error: BROKEN }),
  'hear of results': (session, world) =>
    hear(session, 'aduana.metric_run.completed', { ...told(world), ...SUCCEEDED, manifest: RESULTS }),
  'publish the results': ({ pool }, { job }) =>
    inTransactionOnConnection(pool, (tx, client) => {
      if (job === undefined) throw new Error('the world has no results')
      return publishResults(tx, client, job)
    }),
} satisfies Record<string, Transaction<MetricWorld>>

const onBlocking = () => undefined
const onProgress = () => undefined

export type MetricTransactionName = keyof typeof METRIC_TRANSACTIONS

const CHANGES = ['pass the update on', 'tell of an update', 'recompute', 'cancel', 'save the metric'] as const
const OUTSIDE = [
  'hear of the start',
  'hear a sign of life',
  'hear of the end',
  'hear of a failure',
  'hear of results',
] as const

/** The transactions that can meet in each world. Every pair is run, also each transaction with itself. */
export const METRIC_MEETINGS = {
  'waits for a dataset': [
    ...CHANGES,
    'look after pending runs',
    'save the dataset',
    'save a series',
    'retire the metric above',
  ],
  'is requested': [...CHANGES, 'begin', 'look after silent runs', 'deliver', 'save the dataset'],
  'is with a silent runner': [
    ...CHANGES,
    'commit values',
    'beat',
    'fail',
    'give back',
    'look after silent runs',
    'retire the metric above',
  ],
  'has timed out': [
    'pass the update on',
    'commit values',
    'beat',
    'fail',
    'look after silent runs',
    'cancel',
  ],
  'has failed': ['prune runs', 'retry', 'pass the update on', 'recompute', 'save the metric'],
  'has expired': [
    'prune runs',
    'prune updates',
    'retry',
    'pass the update on',
    'tell of an update',
    'recompute',
  ],
  'follows another': [
    'prune runs',
    'retire the metric above',
    'begin',
    'cancel',
    'save the metric',
    'pass the update on',
  ],
  'is requested outside': [
    ...OUTSIDE,
    'deliver',
    'look after silent runs',
    'cancel',
    'pass the update on',
    'save the metric',
  ],
  'is with a silent runner outside': [
    ...OUTSIDE,
    'look after silent runs',
    'cancel',
    'pass the update on',
    'recompute',
  ],
  'waits for the import of its results': [
    'publish the results',
    'hear of the end',
    'hear of a failure',
    'hear a sign of life',
    'cancel',
    'save the metric',
    'retire the metric above',
    'look after silent runs',
    'tell of an update',
  ],
  'has lost the import of its results': [
    'look after results',
    'hear of results',
    'cancel',
    'pass the update on',
  ],
} satisfies Record<MetricWorldName, readonly MetricTransactionName[]>
