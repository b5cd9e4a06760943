import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TransactionName } from './jobs/transactions.ts'
import type { MetricTransactionName } from './metrics/transactions.ts'

const ROOT = fileURLToPath(new URL('../../../../../packages', import.meta.url))

/**
 * Every function of the product that opens a transaction, with the tested transactions that run it, or the reason why it
 * need not meet others here. A new function must be added.
 */
export const OPENS_TRANSACTION: Readonly<
  Record<string, readonly (TransactionName | MetricTransactionName)[] | string>
> = {
  'datasets/src/registry.ts registerDatasets':
    'changes what is shipped, behind the lock of those who save a dataset',
  'jobs/src/accept/accept-import.ts acceptImport': ['accept', 'accept or refuse', 'accept the same bytes'],
  'jobs/src/accept/accept-import.ts wasAccepted': 'only reads, behind the lock of those who accept',
  'jobs/src/lifecycle/approve.ts approveJob': ['approve'],
  'jobs/src/lifecycle/cancel.ts cancelJob': ['cancel'],
  'jobs/src/dispatch/dispatch.ts wakeWaiters': ['wake'],
  'jobs/src/dispatch/dispatch.ts admit': ['admit'],
  'jobs/src/retention/housekeeping.ts releaseWindowsOfFinalJobs':
    'touches only what the database refuses to let be',
  'jobs/src/windows/leases.ts takeLease': ['take the lease'],
  'jobs/src/retention/prune-events.ts pruneEvents':
    'removes only what no transaction reads or changes any more',
  'jobs/src/retention/prune-jobs.ts inBatches': ['prune history'],
  'jobs/src/dispatch/reconcile.ts readmit': ['report lost work'],
  'jobs/src/retention/apply.ts removeFiles': ['expire files'],
  'jobs/src/lifecycle/retry.ts retryJob': ['retry'],
  'jobs/src/stage-attempts/stage-attempts.ts beginStage': ['begin a stage'],
  'jobs/src/undo/undo-import.ts undoImport': ['undo'],
  'jobs/src/workers/take-over.ts takeOverWork': ['take over the work'],
  'metrics/src/inbox/refused.ts storeRefusedMessage': 'adds one row to the log, by a key of its own',
  'metrics/src/inbox/consume.ts applyInTransaction': 'opens it for `applyBatch`',
  'metrics/src/inbox/consume.ts applyBatch': [
    'hear of the start',
    'hear a sign of life',
    'hear of the end',
    'hear of a failure',
    'hear of results',
  ],
  'metrics/src/commands.ts cancelRunAs': ['cancel'],
  'metrics/src/commands.ts recomputeMetricAs': ['recompute'],
  'metrics/src/commands.ts retireMetricAs': ['retire the metric above'],
  'metrics/src/commands.ts retryRunAs': ['retry'],
  'metrics/src/commands.ts saveDatasetAs': ['save the dataset'],
  'metrics/src/commands.ts saveMetricAs': ['save the metric'],
  'metrics/src/commands.ts saveSeriesAs': ['save a series'],
  'metrics/src/commands.ts acceptProjectionUpdateAs': ['tell of an update'],
  'metrics/src/runner/claim.ts claimRuns': ['begin'],
  'metrics/src/runner/compute-runs.ts computeRuns': ['commit values'],
  'metrics/src/runner/monitor.ts sendHeartbeats': ['beat'],
  'metrics/src/runner/compute-claim.ts failRun': ['fail'],
  'metrics/src/runner/compute-claim.ts computeClaim': ['give back'],
  'metrics/src/runs/prune.ts pruneRuns': ['prune runs'],
  'metrics/src/runs/maintenance.ts checkExpired': ['look after pending runs'],
  'metrics/src/runs/maintenance.ts checkFailedImports': ['look after results'],
  'metrics/src/runs/maintenance.ts checkTimeouts': ['look after silent runs'],
  'metrics/src/shipped/shipped.ts registerShippedMetrics': 'saves series and metrics, alone at the graph',
  'metrics/src/updates/prune.ts pruneUpdatesOf': ['prune updates'],
  'outbox/src/deliver.ts deliver': ['deliver'],
  'pipeline/src/4-load/fenced.ts inFencedTransaction': ['load'],
  'pipeline/src/4-load/fresh-partitions.ts fill': 'writes a table that no other transaction knows yet',
  'pipeline/src/4-load/preview/compute.ts computePreview': 'only reads',
  'pipeline/src/4-load/preview/approval.ts checkApproval': 'only reads',
  'pipeline/src/4-load/preview/approval.ts ask':
    'needs a computed preview; faults/approval and worker/approval-kill run it',
  'pipeline/src/4-load/preview/approval.ts remember': 'the same',
  'pipeline/src/4-load/stage.ts publish': ['load'],
  'pipeline/src/4-load/undo/stage.ts undo': ['load'],
  'pipeline/src/4-load/undo/stage.ts dropNarrowerLocks': 'releases what its own job holds',
  'pipeline/src/4-load/windows.ts claimOnce': ['claim'],
  'pipeline/src/stage-attempt.ts endAttempt': ['commit a stage', 'put off a stage'],
  'pipeline/src/stage-attempt.ts fail': ['fail a stage'],
  'pipeline/src/stage-attempt.ts endAfterError': ['end after an error', 'end after a cancellation'],
}

const OPENERS =
  /(?<!function )\b(?:inTransaction|inTransactionOnConnection|inTransactionWithLockTimeout|inFencedTransaction|applyInTransaction)\(/g
const FUNCTION = /^(?:export )?(?:async )?function (\w+)/gm

/** The functions of some packages whose bodies open a transaction, as `package/src/file.ts function`. */
export function functionsThatOpenTransactions(packages: readonly string[]): string[] {
  const found = packages.flatMap((name) =>
    sources(join(ROOT, name, 'src')).flatMap((path) => {
      const text = readFileSync(path, 'utf8')
      return [...text.matchAll(OPENERS)].flatMap(({ index }) => {
        const around = [...text.slice(0, index).matchAll(FUNCTION)].at(-1)?.[1]
        return around === undefined ? [] : [`${relative(ROOT, path)} ${around}`]
      })
    }),
  )
  return [...new Set(found)].sort()
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !/\.(test|testing|conformance)\.ts$|\/testing\//.test(path))
}
