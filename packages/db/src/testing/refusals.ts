import { AT, id, NOWHERE, type Row, sha } from './sample-rows.ts'

const over = { waiting_for: null, completed_at: AT }
const completed = { status: 'COMPLETED', ...over }
const negative = (...columns: string[]): Record<string, Row[]> =>
  Object.fromEntries(columns.map((column) => [column, [{ [column]: '-1' }]]))
const named = (table: string, checks: Record<string, Row[]>): Record<string, Row[]> =>
  Object.fromEntries(Object.entries(checks).map(([column, rows]) => [`${table}_${column}_check`, rows]))

const JOB_COUNTS = [
  ...['records', 'loaded', 'inserted', 'updated', 'unchanged', 'removed', 'quarantined'],
  ...['duplicates', 'conflicts'],
]

const BAD_CODES: readonly Row[] = ['', '1st', 'Big', 'a-b', 'a..b', '.a', 'a.', 'a'.repeat(101)].map(
  (code) => ({ code }),
)

/** For every table and every constraint and unique index of it: changes of a sample row that it refuses. */
export const REFUSALS: Readonly<Record<string, Readonly<Record<string, readonly Row[]>>>> = {
  users: {
    users_pkey: [{ id: id('user', 1) }],
    users_email_unique: [{ email: 'user1@example.com' }],
    users_email_check: [
      { email: 'Upper@example.com' },
      { email: '@example.com' },
      { email: 'user@' },
      { email: 'nobody' },
      { email: `${'a'.repeat(251)}@b.c` },
    ],
    users_role_check: [{ role: 'king' }],
    users_tenant_check: [{ tenant: '' }, { tenant: 'x'.repeat(101) }],
    users_session_version_check: [{ session_version: 0 }],
  },
  ws_tickets: {
    ws_tickets_pkey: [{ ticket_hash: sha(1) }],
    ws_tickets_user_id_fkey: [{ user_id: NOWHERE }],
  },
  ended_sessions: {
    ended_sessions_pkey: [{ id: id('user', 1) }],
    ended_sessions_user_id_fkey: [{ user_id: NOWHERE }],
  },
  login_failures: {
    login_failures_pkey: [{ slot: 1 }],
    login_failures_kind_check: [{ kind: 'planet' }],
    login_failures_slot_check: [{ slot: -1 }, { slot: 16384 }],
    login_failures_key_check: [{ key: Buffer.alloc(31) }, { key: Buffer.alloc(33) }],
    login_failures_failures_check: [{ failures: 0 }],
  },
  login_networks: {
    login_networks_pkey: [{ network: '192.0.2.1' }],
    login_networks_user_id_fkey: [{ user_id: NOWHERE }],
    login_networks_network_check: [{ network: '' }, { network: 'x'.repeat(65) }],
  },
  datasets: {
    datasets_pkey: [{ id: id('dataset', 1) }],
    datasets_code_unique: [{ code: 'sample_1' }],
    datasets_code_check: [
      { code: '' },
      { code: '1st' },
      { code: 'Big' },
      { code: 'a-b' },
      { code: 'a'.repeat(56) },
    ],
    datasets_current_version_fk: [{ current_version: 9 }],
  },
  dataset_versions: {
    dataset_versions_pkey: [{ version: 1 }],
    dataset_versions_version_check: [{ version: 0 }],
    dataset_versions_definition_sha256_check: [{ definition_sha256: 'A'.repeat(64) }],
    dataset_versions_dataset_id_fkey: [{ dataset_id: NOWHERE }],
    dataset_versions_created_by_fkey: [{ created_by: NOWHERE }],
  },
  jobs: {
    jobs_pkey: [{ id: id('job', 1) }],
    ...named('jobs', {
      type: [{ type: 'dance' }],
      status: [{ status: 'DONE' }],
      stage: [{ stage: 'sort' }],
      waiting_for: [{ waiting_for: 'lunch' }],
      priority: [{ priority: -101 }, { priority: 101 }],
      progress: [{ progress: '-0.01' }, { progress: '100.01' }],
      content_sha256: [{ content_sha256: 'a'.repeat(63) }],
      ...negative(...JOB_COUNTS),
    }),
    jobs_dataset_id_fkey: [{ dataset_id: NOWHERE }],
    jobs_user_id_fkey: [{ user_id: NOWHERE }],
    jobs_parent_id_fkey: [{ parent_id: NOWHERE }],
    jobs_conservation: [
      { ...completed, records: '11' },
      { ...completed, unchanged: '0' },
      { ...completed, quarantined: '3' },
      { ...completed, duplicates: '0' },
      { ...completed, conflicts: '1' },
      { ...completed, inserted: '5' },
      ...JOB_COUNTS.map((column) => ({ ...completed, [column]: null })),
    ],
    jobs_final_has_end: [
      { status: 'QUEUED', completed_at: AT },
      { status: 'PROCESSING', completed_at: AT },
      ...['COMPLETED', 'FAILED', 'CANCELLED'].map((status) => ({ status, waiting_for: null })),
    ],
    jobs_failed_has_error: [{ status: 'FAILED', ...over, error: null }],
    jobs_completed_has_loaded: [{ ...completed, loaded_at: null }],
    jobs_waiting_is_active: [{ ...completed, waiting_for: 'window' }],
    jobs_undone_by: [{ undone_by: id('job', 1) }],
    jobs_undone_by_fkey: [{ undone_by: NOWHERE, batch_deleted: true }],
    jobs_undo_has_parent: [{ type: 'undo', parent_id: null }],
    jobs_same_bytes_once: [
      { content_sha256: sha(1) },
      { content_sha256: sha(1), status: 'PROCESSING' },
      { content_sha256: sha(1), ...completed },
    ],
  },
  imports: {
    imports_pkey: [{ job_id: id('job', 1) }],
    imports_job_id_fkey: [{ job_id: NOWHERE }],
    imports_dataset_id_dataset_version_fkey: [{ dataset_version: 9 }, { dataset_id: NOWHERE }],
    imports_bytes_check: [{ bytes: '-1' }],
    imports_rows_digest_check: [{ rows_digest: 'd'.repeat(31) }, { rows_digest: 'D'.repeat(32) }],
    imports_unpacked_bytes_check: [{ unpacked_bytes: '-1' }],
    imports_mode_check: [{ mode: 'guess' }],
    imports_on_conflict_check: [{ on_conflict: 'fight' }],
    imports_declared_window_check: [
      { declared_window: 'empty' },
      { declared_window: '[2024-01-01,)' },
      { declared_window: '(,2024-01-01)' },
    ],
    imports_found_window_check: [{ found_window: '[2024-01-01,2024-01-01)' }],
    imports_expected_records_check: [{ expected_records: '-1' }],
    imports_manifest_check: [{ manifest: [] }, { manifest: 'none' }],
    imports_layout_check: [{ layout: [] }, { layout: 'none' }],
  },
  stage_results: {
    stage_results_pkey: [{ try: 1 }],
    stage_results_job_id_fkey: [{ job_id: NOWHERE }],
    stage_results_stage_check: [{ stage: 'sort' }],
    stage_results_state_check: [{ state: 'resting', finished_at: AT }],
    stage_results_lost_because_check: [{ state: 'lost', finished_at: AT, lost_because: 'bad luck' }],
    stage_results_lost: [{ lost_because: 'session ended' }, { state: 'lost', finished_at: AT }],
    stage_results_end: [{ finished_at: AT }, { state: 'done' }, { state: 'failed' }, { state: 'parked' }],
  },
  artifacts: {
    artifacts_pkey: [{ name: 'rejects-1.csv' }],
    artifacts_key_unique: [{ key: 'jobs/1/quarantine/1/rejects.csv' }],
    artifacts_job_id_fkey: [{ job_id: NOWHERE }],
    artifacts_name_check: [
      { name: '' },
      { name: '../x' },
      { name: 'Rejects' },
      { name: '.x' },
      { name: 'a'.repeat(101) },
    ],
    artifacts_bytes_check: [{ bytes: '-1' }],
    artifacts_sha256_check: [{ sha256: '' }],
    artifacts_content_bytes_check: [{ content_bytes: '-1', content_sha256: sha(1) }],
    artifacts_content_sha256_check: [{ content_bytes: '1', content_sha256: '' }],
    artifacts_content_whole: [{ content_bytes: '1' }, { content_sha256: sha(1) }],
  },
  tenant_bytes: { tenant_bytes_pkey: [] },
  artifact_stores: { artifact_stores_pkey: [{ name: 'disk 1' }] },
  quarantined_records: {
    quarantined_records_pkey: [{ id: '4294967297' }],
    quarantined_records_record_unique: [{ record: '1' }],
    quarantined_records_job_id_fkey: [{ job_id: NOWHERE }],
    quarantined_records_dataset_id_fkey: [{ dataset_id: NOWHERE }],
    quarantined_records_record_check: [{ record: '0' }],
    quarantined_records_line_check: [{ line: '0' }],
    quarantined_records_byte_offset_check: [{ byte_offset: '-1' }],
    quarantined_records_byte_length_check: [{ byte_length: '-1' }],
    quarantined_records_place: [{ byte_offset: null }, { byte_length: null }],
    quarantined_records_codes_check: [{ codes: [] }],
    quarantined_records_reasons_check: [{ reasons: [] }, { reasons: {} }],
    quarantined_records_state_check: [{ state: 'lost', superseded_by: null }],
    quarantined_records_superseded_by_fkey: [{ superseded_by: NOWHERE }],
    quarantined_records_superseded_by: ['open', 'fixed', 'replayed', 'discarded'].map((state) => ({ state })),
  },
  window_locks: {
    window_locks_job_id_fkey: [{ job_id: NOWHERE }],
    window_locks_dataset_id_fkey: [{ dataset_id: NOWHERE }],
    window_locks_days_check: [{ days: 'empty' }],
    window_locks_no_overlap: [
      { days: '[2024-01-01,2024-01-11)' },
      { days: '[2024-01-10,2024-01-12)' },
      { days: '[2023-12-31,2024-01-02)' },
      { days: '[2024-01-05,2024-01-06)' },
      { days: '(,)' },
    ],
  },
  window_leases: {
    window_leases_pkey: [{ job_id: id('job', 1) }],
    window_leases_job_id_fkey: [{ job_id: NOWHERE }],
  },
  window_waiters: {
    window_waiters_once: [{ scope: 'scope 1' }],
    window_waiters_job_id_fkey: [{ job_id: NOWHERE }],
    window_waiters_blocked_by_fkey: [{ blocked_by: NOWHERE }],
    window_waiters_dataset_id_fkey: [{ dataset_id: NOWHERE }],
    window_waiters_days_check: [{ days: 'empty' }],
  },
  window_ledger: {
    window_ledger_pkey: [{ day: '2024-01-01' }],
    window_ledger_job_id_fkey: [{ job_id: NOWHERE }],
    window_ledger_dataset_id_fkey: [{ dataset_id: NOWHERE }],
    window_ledger_rows_check: [{ rows: '-1' }],
  },
  window_ledger_before: {
    window_ledger_before_pkey: [{ day: '2024-01-01' }],
    window_ledger_before_job_id_fkey: [{ job_id: NOWHERE }],
    window_ledger_before_dataset_id_fkey: [{ dataset_id: NOWHERE }],
    window_ledger_before_former_job_id_fkey: [{ former_job_id: NOWHERE, former_rows: '1' }],
    window_ledger_before_former_rows_check: [{ former_job_id: id('job', 2), former_rows: '-1' }],
    window_ledger_before_whole: [{ former_job_id: id('job', 2) }, { former_rows: '1' }],
  },
  load_previews: {
    load_previews_pkey: [{ job_id: id('job', 1) }],
    load_previews_job_id_fkey: [{ job_id: NOWHERE }],
    load_previews_basis_sha256_check: [{ basis_sha256: 'x' }],
    load_previews_preview_check: [{ preview: [] }],
    load_previews_approved_by_fkey: [{ approved_by: NOWHERE, approved_at: AT }],
    load_previews_approval_whole: [{ approved_by: id('user', 1) }, { approved_at: AT }],
  },
  idempotency_keys: {
    idempotency_keys_pkey: [{ key: 'request 1' }],
    idempotency_keys_user_id_fkey: [{ user_id: NOWHERE }],
    idempotency_keys_key_check: [{ key: '' }, { key: 'k'.repeat(256) }],
    idempotency_keys_request_sha256_check: [{ request_sha256: 'x' }],
    idempotency_keys_status_check: [{ status: 199 }, { status: 300 }],
  },
  workers: {
    workers_pkey: [{ id: 'host.1' }],
    workers_stages_check: [{ stages: ['parse', 'sort'] }],
  },
  dataset_updates: {
    dataset_updates_pkey: [{ id: id('update', 1) }],
    dataset_updates_event_once: [{ event_key: 'update 1' }],
    dataset_updates_dataset_id_fkey: [{ dataset_id: NOWHERE }],
    dataset_updates_job_id_fkey: [{ job_id: NOWHERE }],
    dataset_updates_cause_check: [{ cause: 'magic' }],
    dataset_updates_rows_check: [{ rows: '-1' }],
  },
  event_log: {
    event_log_once: [{ event_key: 'event 1' }],
    event_log_send_attempts_check: [{ send_attempts: -1 }],
    event_log_job_id_fkey: [{ job_id: NOWHERE }],
    event_log_dataset_id_fkey: [{ dataset_id: NOWHERE }],
  },
  series: {
    series_pkey: [{ id: id('series', 1) }],
    series_code_unique: [{ code: 'sample.series_1' }],
    series_code_check: BAD_CODES,
    series_current_version_fk: [{ current_version: 9 }],
  },
  series_versions: {
    series_versions_pkey: [{ version: 1 }],
    series_versions_version_check: [{ version: 0 }],
    series_versions_definition_sha256_check: [{ definition_sha256: 'A'.repeat(64) }],
    series_versions_series_id_fkey: [{ series_id: NOWHERE }],
    series_versions_created_by_fkey: [{ created_by: NOWHERE }],
  },
  dataset_series: {
    dataset_series_pkey: [{ series_id: id('series', 1) }],
    dataset_series_dataset_id_fkey: [{ dataset_id: NOWHERE }],
    dataset_series_series_id_fkey: [{ series_id: NOWHERE }],
    dataset_series_one_place: [{ dataset_id: id('dataset', 2), series_id: id('series', 1) }],
  },
  metrics: {
    metrics_pkey: [{ id: id('metric', 1) }],
    metrics_code_unique: [{ code: 'sample.metric_1' }],
    metrics_code_check: BAD_CODES,
    metrics_level_check: [{ level: -1 }],
    metrics_current_version_fk: [{ current_version: 9 }],
  },
  metric_versions: {
    metric_versions_pkey: [{ version: 1 }],
    metric_versions_version_check: [{ version: 0 }],
    metric_versions_definition_sha256_check: [{ definition_sha256: 'A'.repeat(64) }],
    metric_versions_expression_type_check: [{ expression_type: 'magic' }],
    metric_versions_metric_id_fkey: [{ metric_id: NOWHERE }],
    metric_versions_created_by_fkey: [{ created_by: NOWHERE }],
  },
  metric_dependencies: {
    metric_dependencies_metric_id_fkey: [{ metric_id: NOWHERE }],
    metric_dependencies_dataset_id_fkey: [{ series_id: null, dataset_id: NOWHERE, required_days: 1 }],
    metric_dependencies_series_id_fkey: [{ series_id: NOWHERE }],
    metric_dependencies_needs_metric_id_fkey: [{ series_id: null, needs_metric_id: NOWHERE }],
    metric_dependencies_once: [{ metric_id: id('metric', 1) }],
    metric_dependencies_one_kind: [{ series_id: null }, { needs_metric_id: id('metric', 1) }],
    metric_dependencies_days: [{ required_days: 1 }, { series_id: null, dataset_id: id('dataset', 1) }],
    metric_dependencies_required_days_check: [
      { series_id: null, dataset_id: id('dataset', 1), required_days: 0 },
    ],
    metric_dependencies_not_itself: [{ series_id: null, needs_metric_id: id('metric', 2) }],
  },
  metric_runs: {
    metric_runs_pkey: [{ id: id('run', 1) }],
    metric_runs_metric_id_metric_version_fkey: [{ metric_id: NOWHERE }, { metric_version: 9 }],
    metric_runs_job_id_fkey: [{ job_id: NOWHERE }],
    metric_runs_import_once: [{ job_id: id('job', 1) }],
    metric_runs_requested_by_fkey: [{ requested_by: NOWHERE }],
    metric_runs_taken_over_by_fkey: [{ taken_over_by: NOWHERE }],
    ...named('metric_runs', {
      status: [{ status: 'DONE' }],
      cause: [{ cause: 'magic' }],
      attempt: [{ attempt: -1 }],
      progress: [{ progress: '-0.01' }, { progress: '1.01' }],
      row_count: [{ row_count: '-1' }],
    }),
    metric_runs_final_has_end: [
      ...['PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT'].map((status) => ({ status, completed_at: AT })),
      ...['SUCCEEDED', 'FAILED', 'EXPIRED', 'CANCELLED'].map((status) => ({ status })),
    ],
    metric_runs_failed_has_error: [{ status: 'FAILED', completed_at: AT, error: null }],
    metric_runs_pending_expires: [{ status: 'PENDING', expires_at: null }],
    metric_runs_requested_once_asked: ['REQUESTED', 'RUNNING'].map((status) => ({
      status,
      requested_at: null,
    })),
    metric_runs_one_open: ['PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT'].map((status) => ({
      status,
      as_of: '2024-01-01',
    })),
  },
  metric_run_pending_datasets: {
    metric_run_pending_datasets_pkey: [{ dataset_id: id('dataset', 1) }],
    metric_run_pending_datasets_run_id_fkey: [{ run_id: NOWHERE }],
    metric_run_pending_datasets_dataset_id_fkey: [{ dataset_id: NOWHERE }],
    metric_run_pending_datasets_required_days_check: [{ required_days: 0 }],
    metric_run_pending_datasets_satisfied_by_fkey: [{ satisfied_by: NOWHERE, satisfied_at: AT }],
    metric_run_pending_whole: [{ satisfied_by: id('update', 1) }, { satisfied_at: AT }],
  },
  run_dataset_updates: {
    run_dataset_updates_pkey: [{ run_id: id('run', 1) }],
    run_dataset_updates_run_id_fkey: [{ run_id: NOWHERE }],
    run_dataset_updates_update_id_fkey: [{ update_id: NOWHERE }],
  },
  daily_metrics: {
    daily_metrics_once: [{ date: '2024-01-01' }],
    daily_metrics_value_check: [{ value: 'NaN' }, { value: 'Infinity' }, { value: '-Infinity' }],
    daily_metrics_run_id_fkey: [{ run_id: NOWHERE }],
  },
  audit_log: { audit_log_actor_fkey: [{ actor: NOWHERE }] },
  dim_maquina: {
    dim_maquina_codigo_unique: [{ codigo: 'M-1' }],
    dim_maquina_created_by_job_fkey: [{ created_by_job: NOWHERE }],
  },
  dim_maquinista: {
    dim_maquinista_codigo_unique: [{ codigo: 'M-1' }],
    dim_maquinista_created_by_job_fkey: [{ created_by_job: NOWHERE }],
  },
  fact_production: {
    fact_production_pkey: [{ id: '4294967297' }],
    fact_production_turno_check: [{ turno: 0 }, { turno: 4 }],
    fact_production_cantidad_check: [{ cantidad: -1 }],
    fact_production_peso_neto_check: [{ peso_neto: '-0.001' }],
  },
  order_detail: {
    order_detail_pkey: [{ id: '4294967297' }],
    order_detail_order_id_unique: [{ order_id: 'O-1' }],
    order_detail_items_count_check: [{ items_count: -1 }],
  },
  metric_result: {
    metric_result_pkey: [{ id: '4294967297' }],
  },
  resumen_tarjeta: {
    resumen_tarjeta_pkey: [{ id: '4294967297' }],
    ...named('resumen_tarjeta', {
      turno: [{ turno: 0 }, { turno: 4 }],
      ...negative('horas_ordinarias', 'horas_extra', 'horas_nocturnas', 'horas_festivas'),
    }),
  },
}

/**
 * Unique indexes over what the database numbers itself, so that no plain insert can hit them: the number of the first
 * row is given again, against the rule that forbids giving one. And the one that needs an earlier row in its state.
 */
export const SPECIAL_REFUSALS: Readonly<Record<string, readonly string[]>> = {
  jobs_one_undo: [
    `update jobs set type = 'undo', parent_id = '${id('job', 2)}' where id = '${id('job', 1)}';
     insert into jobs (type, user_id, tenant, parent_id) select type, user_id, tenant, parent_id from jobs
       where id = '${id('job', 1)}'`,
  ],
  imports_number_unique: [
    `insert into imports overriding system value select '${id('job', 2)}' as job_id, import_no, dataset_id,
       dataset_version, mode, file_name, bytes from imports`,
  ],
  ...Object.fromEntries(
    ['audit_log', 'event_log', 'window_locks', 'window_waiters', 'dim_maquina', 'dim_maquinista'].map(
      (table) => [
        `${table}_pkey`,
        [`insert into ${table} overriding system value select * from ${table} limit 1`],
      ],
    ),
  ),
  stage_results_done_once: [
    `update stage_results set state = 'done', finished_at = now();
     insert into stage_results (job_id, stage, attempt, try, state, worker, finished_at)
       select job_id, stage, 2, 1, 'done', worker, now() from stage_results`,
  ],
}
