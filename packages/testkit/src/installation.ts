import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { createDiskStore } from '@aduana/artifacts/disk-store'
import { type ArtifactStore, artifactKey } from '@aduana/artifacts/store'
import type { Principal } from '@aduana/contracts/identity'
import { ImportForm, type Job } from '@aduana/contracts/jobs'
import { acceptImport, newJobId } from '@aduana/jobs/accept/accept-import'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { createTestRedis, type TestRedis } from './redis.ts'

/** The stores of an installation of one test: a database, a prefix in Redis, a data folder. No process runs. */
export interface Installation {
  database: TestDatabase
  redis: TestRedis
  dataDir: string
  store: ArtifactStore
  admin: Principal
  addUser(role: Principal['role'], scope?: Partial<Principal>): Promise<Principal>
  /** Accepts a file as the API does and returns the id of the job. */
  accept(
    content: string | Buffer,
    form: { dataset: string } & Record<string, string>,
    as?: Principal,
  ): Promise<string>
  /** Returns the text of an artifact of a job. */
  artifact(jobId: string, name: string): Promise<string>
  close(): Promise<void>
}

/** An installation with processes that execute jobs. */
export interface ImportingSystem extends Installation {
  /** Waits until a job is final. */
  finished(jobId: string, within?: number): Promise<Job>
  /** Accepts a file and waits until its job is final. */
  import(content: string | Buffer, form: { dataset: string } & Record<string, string>): Promise<Job>
}

/** The database server of an installation, or its existing database and data folder. */
export interface InstallationOptions {
  databaseServer?: string
  restored?: { database: TestDatabase; dataDir: string }
}

/** Creates an installation. With `restored` it uses the existing database and data folder, and an empty Redis. */
export async function createInstallation(options: InstallationOptions = {}): Promise<Installation> {
  const { database, dataDir } = options.restored ?? (await createStores(options.databaseServer))
  const redis = createTestRedis()
  const store = createDiskStore(join(dataDir, 'artifacts'))
  const addUser = (role: Principal['role'], scope: Partial<Principal> = {}) =>
    insertUser(database, role, scope)
  const admin = options.restored ? await findAdmin(database) : await addUser('admin')
  return {
    database,
    redis,
    dataDir,
    store,
    admin,
    addUser,
    accept: async (content, form, as = admin) => {
      const jobId = newJobId()
      const key = artifactKey(jobId, 'accept', 0, 'original')
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      const stored = await store.put(key, chunks(bytes))
      const upload = { jobId, key, stored, fileName: 'test.csv', mediaType: 'text/csv' }
      await acceptImport({ db: database.db, maxQueued: 1000 }, as, upload, ImportForm.parse(form))
      return jobId
    },
    artifact: async (jobId, name) => {
      const row = await database.pool.query<{ key: string; packed: boolean }>(
        'select key, content_sha256 is not null as packed from artifacts where job_id = $1 and name = $2',
        [jobId, name],
      )
      const { key, packed } = row.rows[0] ?? { key: '', packed: false }
      const parts: Buffer[] = []
      for await (const part of await store.open(key)) parts.push(part)
      const stored = Buffer.concat(parts)
      return (packed ? gunzipSync(stored) : stored).toString('utf8')
    },
    close: async () => {
      await redis.close()
      await database.drop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

async function createStores(databaseServer?: string): Promise<{ database: TestDatabase; dataDir: string }> {
  const [database, dataDir] = await Promise.all([
    createTestDatabase(databaseServer),
    mkdtemp(join(tmpdir(), 'aduana-test-')),
  ])
  return { database, dataDir }
}

async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < bytes.length; offset += 65_536) yield bytes.subarray(offset, offset + 65_536)
}

let users = 0

async function findAdmin({ db }: TestDatabase): Promise<Principal> {
  const row = await db
    .selectFrom('users')
    .select(['id', 'email', 'tenant'])
    .where('role', '=', 'admin')
    .executeTakeFirstOrThrow()
  const { id: userId, email, tenant } = row
  return { userId, email, role: 'admin', tenant, companies: null, warehouses: null }
}

async function insertUser(
  database: TestDatabase,
  role: Principal['role'],
  scope: Partial<Principal>,
): Promise<Principal> {
  users += 1
  const { tenant = 'default', companies = null, warehouses = null } = scope
  const row = await database.db
    .insertInto('users')
    .values({
      email: `${role}${users}@test.local`,
      password_hash: 'none',
      role,
      tenant,
      companies,
      warehouses,
    })
    .returning(['id', 'email'])
    .executeTakeFirstOrThrow()
  return { userId: row.id, email: row.email, role, tenant, companies, warehouses }
}
