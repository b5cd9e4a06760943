import { randomUUID } from 'node:crypto'
import type { Principal } from '@aduana/contracts/identity'
import { ImportForm } from '@aduana/contracts/jobs'
import type { Database, Tx } from '@aduana/db/database'
import type { DB } from '@aduana/db/schema.generated'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import { acceptImport } from '../accept/accept-import.ts'
import { lockOpenJob, type OpenJob } from '../lifecycle/transitions.ts'
import type { StageAttempt } from '../stage-attempts/stage-attempts.ts'

/** A database with users and jobs, for tests that need PostgreSQL only. */
export interface JobsDatabase extends TestDatabase {
  addUser(role?: Principal['role'], scope?: Partial<Principal>): Promise<Principal>
  /** The id of a shipped dataset. */
  datasetId(code: string): Promise<string>
  /** Inserts a job, which is QUEUED by default. */
  addJob(change?: Record<string, unknown>): Promise<string>
  /** Accepts an import as the API would; by default of bytes that are new. */
  accept(form?: Record<string, string>, options?: AcceptOptions): Promise<string>
  /** Returns the row of a job. */
  job(id: string): Promise<Record<string, unknown>>
  /** Removes all jobs and their rows in other tables. */
  clear(): Promise<void>
}

export interface AcceptOptions {
  as?: Principal
  sha256?: string
  maxQueued?: number
  maxQueuedPerTenant?: number
  maxKeptBytesPerTenant?: number
}

/** Returns a SHA-256 that is not in use. */
export function freshSha(): string {
  return randomUUID().replaceAll('-', '').repeat(2)
}

/** Creates a database for tests. */
export async function openJobsDatabase(): Promise<JobsDatabase> {
  const database = await createTestDatabase()
  const addUser: JobsDatabase['addUser'] = async (role = 'operator', scope = {}) => {
    const { tenant = 'default', companies = null, warehouses = null } = scope
    const email = `${role}.${randomUUID()}@test.local`
    const row = await database.db
      .insertInto('users')
      .values({ email, password_hash: 'none', role, tenant, companies, warehouses })
      .returning('id')
      .executeTakeFirstOrThrow()
    return { userId: row.id, email, role, tenant, companies, warehouses }
  }
  const operator = await addUser()
  return {
    ...database,
    addUser,
    datasetId: async (code) => {
      const row = await database.pool.query('select id from datasets where code = $1', [code])
      return String(row.rows[0]?.id)
    },
    addJob: async (change = {}) => {
      const row: Record<string, unknown> = {
        type: 'import',
        user_id: operator.userId,
        tenant: 'default',
        ...change,
      }
      const names = Object.keys(row)
      const inserted = await database.pool.query(
        `insert into jobs (${names.join(', ')}) values (${names.map((_, index) => `$${index + 1}`).join(', ')}) returning id`,
        Object.values(row),
      )
      return String(inserted.rows[0]?.id)
    },
    accept: async (form = {}, options = {}) => {
      const jobId = randomUUID()
      const upload = {
        jobId,
        key: `jobs/${jobId}/accept/0/original`,
        stored: { bytes: 10, sha256: options.sha256 ?? freshSha() },
        fileName: 'test.csv',
        mediaType: 'text/csv',
      }
      const { as, sha256: _sha256, maxQueued = 1000, ...limits } = options
      const context = { db: database.db, maxQueued, ...limits }
      await acceptImport(
        context,
        as ?? operator,
        upload,
        ImportForm.parse({ dataset: 'production', ...form }),
      )
      return jobId
    },
    job: async (id) => (await database.pool.query('select * from jobs where id = $1', [id])).rows[0],
    clear: async () => {
      // Triggers refuse to empty some tables; they do not run in the role of a replica.
      await database.pool.query(
        'begin; set local session_replication_role = replica; truncate jobs cascade; commit',
      )
    },
  }
}

/** Creates a database over `pool` that counts its statements. */
export function countStatements(pool: pg.Pool): { db: Database; statements(): number; reset(): void } {
  let statements = 0
  const db = new Kysely<DB>({
    dialect: new PostgresDialect({ pool: { connect: () => pool.connect(), end: async () => undefined } }),
    log: ({ level }) => {
      if (level === 'query') statements += 1
    },
  })
  return {
    db,
    statements: () => statements,
    reset: () => {
      statements = 0
    },
  }
}

/** Locks the row of a job that must be open. */
export async function lockedJob(tx: Tx, id: string): Promise<OpenJob> {
  const job = await lockOpenJob(tx, id)
  if (!job) throw new Error(`job ${id} is final`)
  return job
}

/** Returns a stage attempt of a job. */
export function stageAttemptOf(jobId: string, change: Partial<StageAttempt> = {}): StageAttempt {
  return { jobId, type: 'import', stage: 'parse', attempt: 1, try: 1, ...change }
}

/** A logger that writes nothing. */
export const silent = createLogger({ name: 'test', level: 'silent', pretty: false })
