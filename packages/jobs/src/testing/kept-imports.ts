import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDiskStore } from '@aduana/artifacts/disk-store'
import { createS3Client } from '@aduana/artifacts/s3-client'
import { createS3Store } from '@aduana/artifacts/s3-store'
import type { ArtifactStore } from '@aduana/artifacts/store'
import { createTestS3, useTestCredentials } from '@aduana/testkit/s3'
import type { JobsDatabase } from './jobs.ts'

/** The current time in tests of retention. */
export const NOW = new Date('2031-06-01T12:00:00Z')

/** Returns the time the given number of days before `NOW`. */
function daysAgo(days: number): Date {
  return new Date(NOW.getTime() - days * 86_400_000)
}

/** The files of an import. */
export const FILES = ['original', 'parsed.parquet', 'structural.ndjson', 'clean.parquet', 'rejects.ndjson']
const DOWNLOADABLE = ['original', 'rejects.ndjson', 'duplicates.ndjson']
const STAGE_OF: Record<string, string> = {
  'parsed.parquet': 'parse',
  'structural.ndjson': 'parse',
  'clean.parquet': 'validate',
  'rejects.ndjson': 'validate',
  'duplicates.ndjson': 'validate',
  'before-image.parquet': 'load',
}

/** A store for one test. */
export interface Kept {
  store: ArtifactStore
  close(): Promise<void>
}
/** Functions that open a new store of each kind. */
export const STORES: Record<string, () => Promise<Kept>> = {
  'a disk store': async () => {
    const root = await mkdtemp(join(tmpdir(), 'aduana-retention-'))
    return { store: createDiskStore(root), close: () => rm(root, { recursive: true }) }
  },
  'an S3 store': async () => {
    useTestCredentials()
    const s3 = await createTestS3()
    const settings = {
      bucket: await s3.addBucket(),
      prefix: '',
      region: 'us-east-1',
      endpoint: s3.endpoint,
      pathStyle: true,
    }
    const client = createS3Client(settings)
    return {
      store: createS3Store(client, settings),
      close: async () => {
        client.destroy()
        await s3.stop()
      },
    }
  },
}

/** Past imports of the dataset `production`, with their files in a store. */
export interface KeptHistory {
  /** Inserts an import that by default was loaded and ended the given number of days ago. */
  anImport(days: number, files: readonly string[], change?: Record<string, unknown>): Promise<string>
  /** Adds a reject to an import. */
  reject(id: string, state: string, supersededBy?: string | null): Promise<void>
  /** Records that an import took over a day, from another import if one is given. */
  replaced(id: string, former: string | null): Promise<void>
}

/** Returns functions that write such imports to a database and a store. */
export function keptHistory(database: JobsDatabase, store: ArtifactStore, production: string): KeptHistory {
  const anImport: KeptHistory['anImport'] = async (days, files, change = {}) => {
    const at = daysAgo(days)
    const counts = Object.fromEntries(
      ['records', 'loaded', 'inserted', 'updated', 'unchanged', 'removed', 'quarantined', 'duplicates'].map(
        (count) => [count, 0],
      ),
    )
    const id = await database.addJob({
      ...{ type: 'import', dataset_id: production, status: 'COMPLETED', created_at: at, loaded_at: at },
      ...{ completed_at: at, ...counts, ...change },
    })
    await database.pool.query(
      `insert into imports (job_id, dataset_id, dataset_version, mode, file_name, bytes)
       select $1, id, current_version, 'replace-window', 'a.csv', 1 from datasets where id = $2`,
      [id, production],
    )
    for (const file of files) {
      const key = `jobs/${id}/${file === 'original' ? 'accept' : 'parse'}/1.1/${file}`
      const stored = await store.put(
        key,
        (async function* () {
          yield Buffer.from(file)
        })(),
      )
      await database.pool.query(
        `insert into artifacts (job_id, name, key, media_type, bytes, sha256, stage, attempt, downloadable, created_at)
         values ($1, $2, $3, 'text/plain', $4, $5, $6, 1, $7, $8)`,
        [
          ...[id, file, key, stored.bytes, stored.sha256, STAGE_OF[file] ?? null],
          ...[DOWNLOADABLE.includes(file), at],
        ],
      )
    }
    return id
  }
  const reject: KeptHistory['reject'] = async (id, state, supersededBy = null) =>
    void (await database.pool.query(
      `insert into quarantined_records
         (id, job_id, dataset_id, record, line, codes, columns, reasons, raw, state, superseded_by)
       select import_no::bigint << 32 | 1, $1, dataset_id, 1, 2, '{required}', '{lote}', '[{"column":"lote","code":"required","message":"is missing","value":""}]', 'x', $2, $3
       from imports where job_id = $1`,
      [id, state, supersededBy],
    ))
  const replaced: KeptHistory['replaced'] = async (id, former) =>
    void (await database.pool.query(
      `insert into window_ledger_before (job_id, dataset_id, day, former_job_id, former_rows)
       values ($1, $2, '2024-01-01', $3, $4)`,
      [id, production, former, former === null ? null : 1],
    ))

  return { anImport, reject, replaced }
}
