import { AT, id, ofDataset, ofJob, type SampleTable } from './sample-rows.ts'

/** The tables of what happened. */
export const HISTORY: readonly SampleTable[] = [
  {
    table: 'window_ledger',
    numbered: [],
    optional: [],
    row: (n) => ({
      ...ofDataset,
      scope: 'ACME',
      day: `2024-01-0${n}`,
      ...ofJob,
      rows: '10',
      version: '2',
      updated_at: AT,
    }),
  },
  {
    table: 'dataset_updates',
    numbered: [],
    optional: ['job_id', 'fanned_out_at'],
    row: (n) => ({
      id: id('update', n),
      ...ofDataset,
      ...ofJob,
      event_key: `update ${n}`,
      days: '{[2024-01-01,2024-01-03),[2024-01-05,2024-01-06)}',
      scopes: ['ACME'],
      rows: '10',
      created_at: AT,
      fanned_out_at: AT,
    }),
  },
  {
    table: 'event_log',
    numbered: ['id'],
    optional: ['job_id', 'dataset_id', 'sent_at'],
    row: (n) => ({
      event_key: `event ${n}`,
      type: 'job.cancelled',
      ...ofJob,
      ...ofDataset,
      body: { type: 'job.cancelled' },
      occurred_at: AT,
      outbound: true,
      sent_at: AT,
    }),
  },
  {
    table: 'audit_log',
    numbered: ['id'],
    optional: ['actor'],
    row: (n) => ({
      at: AT,
      actor: id('user', 1),
      action: 'job.cancel',
      subject_type: 'job',
      subject_id: id('job', n),
      details: { why: 'wrong file' },
    }),
  },
]
