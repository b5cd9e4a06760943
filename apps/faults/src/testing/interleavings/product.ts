import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TransactionName } from './jobs/transactions.ts'
import type { MetricTransactionName } from './metrics/transactions.ts'

const ROOT = fileURLToPath(new URL('../../../../../packages', import.meta.url))

/**
 * Every function of the product that opens a transaction, with the tested transactions that call it, or the reason why it
 * is not tested with others here. New functions must be added.
 */
export const OPENS_TRANSACTION: Readonly<
  Record<string, readonly (TransactionName | MetricTransactionName)[] | string>
> = {
  'datasets/src/registry.ts registerDatasets':
    'changes shipped datasets, under the lock that saving a dataset takes',
  'datasets/src/save/save-dataset.ts saveDatasetAs': ['save the dataset', 'save the definition'],
  'jobs/src/accept/accept-import.ts acceptImport': ['accept', 'accept or refuse', 'accept the same bytes'],
  'jobs/src/accept/accept-import.ts wasAccepted': 'only reads, under the lock that accepting takes',
  'jobs/src/lifecycle/approve.ts approveJob': ['approve'],
  'jobs/src/lifecycle/cancel.ts cancelJob': ['cancel'],
  'jobs/src/dispatch/dispatch.ts wakeWaiters': ['wake'],
  'jobs/src/dispatch/dispatch.ts admit': ['admit'],
  'jobs/src/retention/housekeeping.ts releaseWindowsOfFinalJobs':
    'releases only locks that the database forbids',
  'jobs/src/windows/leases.ts takeLease': ['take the lease'],
  'jobs/src/retention/prune-events.ts pruneEvents':
    'removes only rows that no other transaction reads or changes',
  'jobs/src/retention/prune-jobs.ts inBatches': ['prune history'],
  'jobs/src/dispatch/reconcile.ts readmit': ['report lost work'],
  'jobs/src/retention/apply.ts removeFiles': ['expire files'],
  'jobs/src/lifecycle/retry.ts retryJob': ['retry'],
  'jobs/src/stage-attempts/stage-attempts.ts beginStage': ['begin a stage'],
  'jobs/src/undo/undo-import.ts undoImport': ['undo'],
  'jobs/src/workers/take-over.ts takeOverWork': ['take over the work'],
  'metrics/src/inbox/refused.ts storeRefusedMessage': 'inserts one row with a unique key',
  'metrics/src/inbox/consume.ts applyInTransaction': 'opens the transaction of `applyBatch`',
  'metrics/src/inbox/consume.ts applyBatch': [
    'receive started',
    'receive heartbeat',
    'receive completed',
    'receive failed',
    'receive results',
  ],
  'metrics/src/commands.ts cancelRunAs': ['cancel'],
  'metrics/src/commands.ts recomputeMetricAs': ['recompute'],
  'metrics/src/commands.ts retireMetricAs': ['retire the dependent metric'],
  'metrics/src/commands.ts retryRunAs': ['retry'],
  'metrics/src/commands.ts saveMetricAs': ['save the metric'],
  'metrics/src/commands.ts saveSeriesAs': ['save a series'],
  'metrics/src/commands.ts acceptProjectionUpdateAs': ['report an update'],
  'metrics/src/runner/claim.ts claimRuns': ['begin'],
  'metrics/src/runner/compute-runs.ts computeRuns': ['commit values'],
  'metrics/src/runner/monitor.ts sendHeartbeats': ['heartbeat'],
  'metrics/src/runner/compute-claim.ts failRun': ['fail'],
  'metrics/src/runner/compute-claim.ts computeClaim': ['requeue'],
  'metrics/src/runs/prune.ts pruneRuns': ['prune runs'],
  'metrics/src/runs/maintenance.ts checkExpired': ['check expired runs'],
  'metrics/src/runs/maintenance.ts checkFailedImports': ['check failed imports'],
  'metrics/src/runs/maintenance.ts checkTimeouts': ['check timeouts'],
  'metrics/src/shipped/shipped.ts registerShippedMetrics':
    'saves series and metrics, under the lock of the graph',
  'metrics/src/updates/prune.ts pruneUpdatesOf': ['prune updates'],
  'outbox/src/deliver.ts deliver': ['deliver'],
  'pipeline/src/4-load/fenced.ts inFencedTransaction': ['load'],
  'pipeline/src/4-load/fresh-partitions.ts fill': 'writes a table that no other transaction sees yet',
  'pipeline/src/4-load/preview/compute.ts computePreview': 'only reads',
  'pipeline/src/4-load/preview/approval.ts checkApproval': 'only reads',
  'pipeline/src/4-load/preview/approval.ts ask':
    'needs a computed preview; faults/approval and worker/approval-kill run it',
  'pipeline/src/4-load/preview/approval.ts remember': 'the same',
  'pipeline/src/4-load/stage.ts publish': ['load'],
  'pipeline/src/4-load/undo/stage.ts undo': ['load'],
  'pipeline/src/4-load/undo/stage.ts dropNarrowerLocks': 'releases locks of its own job only',
  'pipeline/src/4-load/windows.ts claimOnce': ['claim'],
  'pipeline/src/stage-attempt.ts endAttempt': ['commit a stage', 'postpone a stage'],
  'pipeline/src/stage-attempt.ts fail': ['fail a stage'],
  'pipeline/src/stage-attempt.ts endAfterError': ['end after an error', 'end after a cancellation'],
}

const OPENING_CALLS =
  /(?<!function )\b(?:inTransaction|inTransactionOnConnection|inTransactionWithLockTimeout|inFencedTransaction|applyInTransaction)\(/g
const FUNCTION = /^(?:export )?(?:async )?function (\w+)/gm

/** Returns the functions of packages that open a transaction, as `package/src/file.ts function`. */
export function functionsThatOpenTransactions(packages: readonly string[]): string[] {
  const found = packages.flatMap((name) =>
    sources(join(ROOT, name, 'src')).flatMap((path) => {
      const text = readFileSync(path, 'utf8')
      return [...text.matchAll(OPENING_CALLS)].flatMap(({ index }) => {
        const enclosing = [...text.slice(0, index).matchAll(FUNCTION)].at(-1)?.[1]
        return enclosing === undefined ? [] : [`${relative(ROOT, path)} ${enclosing}`]
      })
    }),
  )
  return [...new Set(found)].sort()
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !/\.test\.ts$|\/testing\//.test(path))
}
