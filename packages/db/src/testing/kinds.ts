import { EXPRESSION_TYPES } from '@aduana/contracts/metrics/expression'
import { STAGE_NAMES } from '@aduana/contracts/stages'
import { AT, id, type Row, sha } from './sample-rows.ts'

const over = { waiting_for: null, completed_at: AT }
const each = (column: string, values: readonly string[], rest: Row = {}): Row[] =>
  values.map((value) => ({ [column]: value, ...rest }))

/** The kinds of rows of a table: what is changed in a sample row, and accepted. */
export const KINDS: Readonly<Record<string, readonly Row[]>> = {
  users: [
    ...each('role', ['viewer', 'operator', 'steward', 'admin']),
    { tenant: 'x' },
    { tenant: 'x'.repeat(100) },
    { email: 'a@b' },
  ],
  login_failures: [...each('kind', ['account_network', 'network']), { slot: 0 }, { slot: 16383 }],
  dataset_versions: [{ version: 2147483647 }],
  jobs: [
    ...each('type', ['import', 'sync', 'replay', 'undo', 'export', 'integrity-check']),
    ...each('stage', STAGE_NAMES),
    ...each('waiting_for', ['window', 'approval', 'dependency']),
    ...each('status', ['QUEUED', 'PROCESSING']),
    ...each('status', ['COMPLETED', 'FAILED', 'CANCELLED'], over),
    ...[-100, 100].map((priority) => ({ priority })),
    ...['0.00', '100.00'].map((progress) => ({ progress })),
    // The same bytes again, where that is allowed.
    { content_sha256: sha(1), forced: true },
    { content_sha256: sha(1), dry_run: true },
    { content_sha256: sha(1), batch_deleted: true, undone_by: id('job', 1) },
    { content_sha256: sha(1), status: 'FAILED', ...over },
    { content_sha256: sha(1), status: 'CANCELLED', ...over },
    { content_sha256: sha(1), type: 'replay' },
    { content_sha256: sha(1), dataset_id: id('dataset', 2) },
    // A trial run counts what it would load, and loads nothing.
    { status: 'COMPLETED', ...over, dry_run: true, loaded_at: null, loaded: null, records: '99' },
    { status: 'COMPLETED', ...over, type: 'export', loaded_at: null, records: null },
  ],
  imports: [
    ...each('mode', ['replace-window', 'upsert', 'append']),
    ...each('on_conflict', ['reject', 'wait']),
    { bytes: '0', found_window: '(,)' },
  ],
  stage_results: [
    ...each('stage', STAGE_NAMES),
    ...each('state', ['failed', 'parked', 'released', 'discarded'], { finished_at: AT }),
    { state: 'lost', lost_because: 'session ended', finished_at: AT },
    { state: 'done', stage: 'validate', finished_at: AT },
  ],
  artifacts: [{ name: 'a'.repeat(100) }, { bytes: '0' }],
  quarantined_records: [
    ...each('state', ['open', 'fixed', 'replayed', 'discarded', 'superseded'], { superseded_by: null }),
    { id: '9223372036854775807' },
    { byte_offset: null, byte_length: null },
  ],
  window_locks: [
    { days: '[2024-01-11,2024-01-12)' }, // the day after a window is not in it
    { days: '[2023-12-31,2024-01-01)' },
    { days: '[2024-01-01,2024-01-11)', scope: '' },
    { days: '[2024-01-01,2024-01-11)', dataset_id: id('dataset', 2) },
    { days: '(,)', scope: 'whole' },
  ],
  window_waiters: [{ days: '(,)' }],
  window_ledger: [{ rows: '0' }],
  window_ledger_before: [{ former_job_id: id('job', 2), former_rows: '0' }],
  load_previews: [{ approved_by: id('user', 1), approved_at: AT }],
  idempotency_keys: [{ status: 200 }, { status: 299 }, { key: 'k'.repeat(255) }],
  series: [{ code: 'a' }, { code: 'a.b.c_1' }, { code: 'a'.repeat(100) }],
  metric_versions: each('expression_type', EXPRESSION_TYPES),
  metric_dependencies: [
    { series_id: null, dataset_id: id('dataset', 1), required_days: 1 },
    { series_id: null, needs_metric_id: id('metric', 1) },
  ],
  metric_runs: [
    ...each('status', ['PENDING', 'REQUESTED', 'RUNNING']),
    ...each('status', ['SUCCEEDED', 'FAILED', 'EXPIRED', 'CANCELLED'], {
      completed_at: AT,
      as_of: '2024-01-01',
    }),
    ...each('cause', ['update', 'metric', 'recompute', 'definition']),
    { status: 'SUCCEEDED', completed_at: AT, days: '{}', progress: '1.0000', row_count: '0' },
  ],
  metric_run_pending_datasets: [{ satisfied_by: id('update', 1), satisfied_at: AT }],
  daily_metrics: [
    { company: null, date: '2024-01-01' },
    { warehouse: 'north', date: '2024-01-01' },
    { metric_name: 'other', date: '2024-01-01' },
  ],
  workers: [{ stages: [] }, { stages: STAGE_NAMES }],
  dataset_updates: [{ days: '{}', rows: '0' }, { cause: 'load' }],
  fact_production: [...[1, 2, 3].map((turno) => ({ turno })), { peso_neto: '0.000', cantidad: 2147483647 }],
  resumen_tarjeta: [1, 2, 3].map((turno) => ({ turno })),
}
