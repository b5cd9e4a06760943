import type { FailPoint } from '@aduana/runtime/fail-points'
import type { FaultScenarioName } from './fault-scenarios.ts'

/** A fail point at which a process is killed, and the scenario that reaches it. */
export interface Kill {
  point: FailPoint
  /** Only at this detail of the point. `%` stands for the number of the replacing import. */
  detail?: string
  scenario: FaultScenarioName
}

const STAGES = ['parse', 'validate', 'quarantine', 'fan-out']
const ofImport = (stage: string) => `${stage}/%`

const at = (scenario: FaultScenarioName, point: FailPoint, ...details: string[]): Kill[] =>
  details.length === 0 ? [{ point, scenario }] : details.map((detail) => ({ point, detail, scenario }))

/** Other tests that kill processes at fail points. */
export const OTHER_KILL_TESTS = [
  'apps/faults/src/metrics/kills.test.ts',
  'apps/worker/src/undo-kill.test.ts',
  'apps/worker/src/approval-kill.test.ts',
  'packages/jobs/src/retention/apply.test.ts',
  'apps/faults/src/outside/kill.test.ts',
]

/** The fail points at which processes are killed during imports. */
export const KILLS: readonly Kill[] = [
  ...at('upload', 'accept.after-store'),
  ...at('upload', 'accept.before-commit'),
  ...at('upload', 'accept.after-commit'),
  ...at('first', 'dispatch.before-commit'),
  ...at('first', 'dispatch.after-commit'),
  ...at('first', 'dispatch.after-enqueue'),
  ...at('first', 'artifact.before-rename', 'parsed.parquet', 'clean.parquet'),
  ...at('first', 'artifact.after-rename', 'structural.ndjson', 'rejects.ndjson', 'duplicates.ndjson'),
  ...at('first', 'quarantine.after-copy'),
  ...at('first', 'load.after-fill'),
  ...at('first', 'load.after-copy'),
  ...at('first', 'queue.before-acknowledge', 'parse', 'load', 'fan-out'),
  ...at('first', 'queue.after-acknowledge', 'validate', 'load'),
  ...at('replacement', 'stage.before-work', ...STAGES.map(ofImport), 'load/%'),
  ...at('replacement', 'stage.before-commit', ...STAGES.map(ofImport)),
  ...at('replacement', 'stage.after-commit', ...STAGES.map(ofImport)),
  ...at('replacement', 'load.after-claim', '%'),
  ...at('replacement', 'load.after-members', '%'),
  ...at('replacement', 'load.before-image', '%'),
  ...at('replacement', 'load.after-image', '%'),
  ...at('replacement', 'load.before-transaction', '%'),
  ...at('replacement', 'load.after-delete', '%'),
  ...at('replacement', 'load.during-copy', '%'),
  ...at('replacement', 'load.before-commit', '%'),
  ...at('replacement', 'load.after-commit', '%'),
  ...at('exchange', 'load.during-copy', '%'),
  ...at('exchange', 'load.before-commit', '%'),
  ...at('merge', 'load.during-copy', '%'),
  ...at('merge', 'load.before-commit', '%'),
  ...at('waiting', 'load.after-park'),
  ...at('waiting', 'dispatch.after-wake'),
  ...at('refusal', 'stage.before-fail'),
  ...at('refusal', 'stage.after-fail'),
  ...at('cancellation', 'stage.before-cancel'),
]

/** Returns a fail point in the syntax of `ADUANA_FAIL_POINTS`, without the action. */
export function formatFailPoint({ point, detail }: Kill): string {
  return detail === undefined ? point : `${point}:${detail}`
}
