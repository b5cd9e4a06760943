import { randomUUID } from 'node:crypto'
import type { Principal } from '@aduana/contracts/identity'
import { ImportForm } from '@aduana/contracts/jobs'
import type { Database, Tx } from '@aduana/db/database'
import type { DB } from '@aduana/db/schema.generated'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import { acceptImport } from '../accept.ts'
import type { StageRun } from '../stage-log.ts'
import { lockOpenJob, type OpenJob } from '../transitions.ts'

/** A database with people and jobs, for tests of what PostgreSQL alone decides. */
export interface JobsDatabase extends TestDatabase {
  addUser(role?: Principal['role'], scope?: Partial<Principal>): Promise<Principal>
  /** The id of a shipped dataset. */
  datasetId(code: string): Promise<string>
  /** Insert a job, waiting in line unless the change says otherwise. */
  addJob(change?: Record<string, unknown>): Promise<string>
  /** Accept bytes that nobody has brought before (unless given), as the API would. */
  accept(form?: Record<string, string>, options?: AcceptOptions): Promise<string>
  /** A job as it stands. */
  job(id: string): Promise<Record<string, unknown>>
  /** Remove all jobs and what belongs to them. */
  clear(): Promise<void>
}

export interface AcceptOptions {
  as?: Principal
  sha256?: string
  maxQueued?: number
  maxQueuedPerTenant?: number
  maxKeptBytesPerTenant?: number
}

/** A SHA-256 that nothing has. */
export function freshSha(): string {
  return randomUUID().replaceAll('-', '').repeat(2)
}

/** Make one. */
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
        type: 'sync',
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
      // What may not be emptied in earnest is emptied as a replica would be.
      await database.pool.query(
        'begin; set local session_replication_role = replica; truncate jobs cascade; commit',
      )
    },
  }
}

/** A database over `pool` that counts the statements that go through it. */
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

/** A run of a stage of a job, as the log would have it. */
export function runOf(jobId: string, change: Partial<StageRun> = {}): StageRun {
  return { jobId, type: 'import', stage: 'parse', attempt: 1, try: 1, ...change }
}

/** A logger that says nothing. */
export const silent = createLogger({ name: 'test', level: 'silent', pretty: false })
