/** Values of a row by column. */
export type Row = Record<string, unknown>

/** A table and how to make rows of it that differ in every key. */
export interface SampleTable {
  table: string
  /** Columns that the database numbers itself; a value given for them is refused. */
  numbered: readonly string[]
  /** Columns that may be null. All others may not. */
  optional: readonly string[]
  /** Row number `n` (from 1), every column filled that can be filled at once. It points at rows number 1. */
  row(n: number): Row
}

const KINDS = ['user', 'dataset', 'job', 'update', 'batch', 'series', 'metric', 'run'] as const

/** The id of row `n` of a kind. */
export function id(kind: (typeof KINDS)[number], n: number): string {
  return `0000000${KINDS.indexOf(kind)}-0000-4000-8000-${String(n).padStart(12, '0')}`
}

/** An id that nothing has. */
export const NOWHERE = '0000000f-0000-4000-8000-00000000dead'

/** The SHA-256 of file `n`. */
export function sha(n: number): string {
  return n.toString(16).padStart(64, 'a')
}

export const AT = new Date('2024-03-05T10:11:12.345Z')

export const ofJob = { job_id: id('job', 1) }
export const ofDataset = { dataset_id: id('dataset', 1) }
const counts = { records: '12', loaded: '6', inserted: '4', updated: '2', unchanged: '1' }
const restOfCounts = { removed: '3', quarantined: '2', duplicates: '1', conflicts: '2' }

/** The tables of users, datasets and jobs, in an order in which rows can be inserted. */
export const SAMPLES: readonly SampleTable[] = [
  {
    table: 'users',
    numbered: [],
    optional: ['companies', 'warehouses', 'disabled_at'],
    row: (n) => ({
      id: id('user', n),
      email: `user${n}@example.com`,
      password_hash: 'scrypt$…',
      role: 'operator',
      tenant: 'Açaí "Ltda"',
      companies: ['ACME', 'Comma, {brace} "quote" \\'],
      warehouses: [],
      disabled_at: AT,
      created_at: AT,
      updated_at: AT,
      session_version: 3,
    }),
  },
  {
    table: 'ws_tickets',
    numbered: [],
    optional: [],
    row: (n) => ({
      ticket_hash: sha(n),
      user_id: id('user', 1),
      expires_at: AT,
      session_id: id('user', 7),
      session_version: 3,
      session_expires_at: AT,
    }),
  },
  {
    table: 'ended_sessions',
    numbered: [],
    optional: [],
    row: (n) => ({ id: id('user', n), user_id: id('user', 1), expires_at: AT }),
  },
  {
    table: 'login_failures',
    numbered: [],
    optional: [],
    row: (n) => ({ kind: 'account', slot: n, key: Buffer.alloc(32, n), failures: 3, expires_at: AT }),
  },
  {
    table: 'login_networks',
    numbered: [],
    optional: [],
    row: (n) => ({ user_id: id('user', 1), network: `192.0.2.${n}`, last_login_at: AT }),
  },
  {
    table: 'datasets',
    numbered: [],
    optional: [],
    row: (n) => ({
      id: id('dataset', n),
      code: `sample_${n}`,
      current_version: 1,
      created_at: AT,
      updated_at: AT,
    }),
  },
  {
    table: 'dataset_versions',
    numbered: [],
    optional: ['created_by'],
    row: (n) => ({
      ...ofDataset,
      version: n,
      definition: { code: 'sample_1', columns: [] },
      definition_sha256: sha(n),
      created_at: AT,
      created_by: id('user', 1),
    }),
  },
  {
    table: 'jobs',
    numbered: [],
    optional: [
      ...['stage', 'waiting_for', 'dataset_id', 'companies', 'warehouses', 'start_at', 'parent_id'],
      ...['content_sha256', 'admitted_at', 'cancel_requested_at', 'loaded_at', 'total_items'],
      ...['processed_items', 'rows_per_second', 'eta_seconds', 'result', 'error', 'started_at'],
      ...[
        'completed_at',
        'approval_asked_at',
        'undone_by',
        ...Object.keys(counts),
        ...Object.keys(restOfCounts),
      ],
    ],
    row: (n) => ({
      id: id('job', n),
      type: 'import',
      status: 'QUEUED',
      stage: 'load',
      waiting_for: 'window',
      ...ofDataset,
      user_id: id('user', 1),
      tenant: 'default',
      companies: ['ACME'],
      warehouses: ['north'],
      priority: -7,
      start_at: AT,
      parent_id: id('job', 1),
      parameters: { dataset: 'sample_1' },
      content_sha256: sha(n),
      forced: false,
      dry_run: false,
      attempt: 3,
      version: '9007199254740993',
      lost_count: 1,
      admitted_at: AT,
      cancel_requested_at: AT,
      loaded_at: AT,
      progress: '33.33',
      progress_tick: 7,
      message: 'Waiting',
      total_items: '10',
      processed_items: '5',
      rows_per_second: '12.5',
      eta_seconds: '0.5',
      ...counts,
      ...restOfCounts,
      result: { days: 3 },
      error: { code: 'internal', detail: 'an earlier try' },
      batch_deleted: false,
      undone_by: null,
      approval_asked_at: AT,
      created_at: AT,
      started_at: AT,
      completed_at: null,
      updated_at: AT,
    }),
  },
  {
    table: 'imports',
    numbered: ['import_no'],
    optional: [
      'declared_window',
      'found_window',
      'encoding',
      'delimiter',
      'expected_records',
      'manifest',
      'unpacked_bytes',
      'layout',
      'rows_digest',
    ],
    row: (n) => ({
      job_id: id('job', n),
      ...ofDataset,
      dataset_version: 1,
      mode: 'replace-window',
      file_name: 'producción.csv',
      bytes: '5000000000',
      unpacked_bytes: '15000000000',
      declared_window: '[2024-01-01,2024-02-01)',
      found_window: '[2024-01-03,2024-01-31)',
      scopes: ['ACME'],
      on_conflict: 'wait',
      encoding: 'windows-1252',
      delimiter: ';',
      require_approval: true,
      expected_records: '0',
      manifest: { url: 's3://bucket/manifest.json' },
      layout: { header: 'a;b', headerTruncated: false, delimiter: ';', encoding: 'utf-8', format: 'plain' },
      rows_digest: 'd'.repeat(32),
    }),
  },
  {
    table: 'stage_results',
    numbered: [],
    optional: ['finished_at', 'output', 'error', 'lost_because'],
    row: (n) => ({
      ...ofJob,
      stage: 'parse',
      attempt: 1,
      try: n,
      state: 'running',
      worker: 'host:1',
      started_at: AT,
      heartbeat_at: AT,
      finished_at: null,
      output: { records: 10 },
      error: { code: 'internal' },
      lost_because: null,
    }),
  },
  {
    table: 'artifacts',
    numbered: [],
    optional: ['stage', 'removed_at', 'content_bytes', 'content_sha256'],
    row: (n) => ({
      ...ofJob,
      content_bytes: null,
      content_sha256: null,
      name: `rejects-${n}.csv`,
      key: `jobs/${n}/quarantine/1/rejects.csv`,
      media_type: 'text/csv',
      bytes: '12',
      sha256: sha(n),
      stage: 'quarantine',
      attempt: 1,
      downloadable: true,
      created_at: AT,
      removed_at: AT,
    }),
  },
  {
    table: 'tenant_bytes',
    numbered: ['id'],
    optional: [],
    row: (n) => ({ tenant: `tenant ${n}`, bytes: '-5000000000' }),
  },
  {
    table: 'artifact_stores',
    numbered: [],
    optional: [],
    row: (n) => ({ name: `disk ${n}`, marker: id('batch', n), created_at: AT }),
  },
  {
    table: 'quarantined_records',
    numbered: [],
    optional: ['superseded_by', 'byte_offset', 'byte_length'],
    row: (n) => ({
      id: String(4294967296n + BigInt(n)),
      ...ofJob,
      ...ofDataset,
      record: String(n),
      line: String(n + 1),
      byte_offset: '0',
      byte_length: '5000000000',
      codes: ['required'],
      columns: ['lote'],
      reasons: [{ column: 'lote', code: 'required', message: 'missing', value: null }],
      raw: '1;"a\nb";ñ',
      raw_truncated: false,
      state: 'superseded',
      superseded_by: id('job', 1),
      created_at: AT,
      updated_at: AT,
    }),
  },
  {
    table: 'window_locks',
    numbered: ['id'],
    optional: [],
    row: (n) => ({
      ...ofJob,
      ...ofDataset,
      scope: 'ACME',
      days: `[2024-0${n}-01,2024-0${n}-11)`,
      fence: '7',
      created_at: AT,
    }),
  },
  {
    table: 'window_leases',
    numbered: [],
    optional: ['backend_pid', 'backend_start'],
    row: (n) => ({
      job_id: id('job', n),
      fence: '7',
      holder: 'host:1',
      backend_pid: 4711,
      backend_start: AT,
      expires_at: AT,
    }),
  },
  {
    table: 'window_waiters',
    numbered: ['id'],
    optional: ['blocked_by'],
    row: (n) => ({
      ...ofJob,
      ...ofDataset,
      scope: `scope ${n}`,
      days: '[2024-01-01,2024-02-01)',
      since: AT,
      blocked_by: id('job', 2),
    }),
  },
]
