import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { createDiskStore } from '@aduana/artifacts/disk-store'
import { type ArtifactStore, artifactKey } from '@aduana/artifacts/store'
import type { Principal } from '@aduana/contracts/identity'
import { ImportForm, type Job } from '@aduana/contracts/jobs'
import { acceptImport, newJobId } from '@aduana/jobs/accept'
import { readJob } from '@aduana/jobs/read'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { type ProductProcess, startProduct } from './processes.ts'
import { createTestRedis, type TestRedis } from './redis.ts'
import { until } from './until.ts'

/** A whole installation of a test's own, without the API: a database, a part of Redis, a data folder, workers. */
export interface TestSystem {
  database: TestDatabase
  redis: TestRedis
  dataDir: string
  store: ArtifactStore
  admin: Principal
  /** The settings that every process of this installation is started with. */
  environment: Record<string, string>
  /** Start a worker and wait until it is ready. */
  startWorker(settings?: Record<string, string>): Promise<ProductProcess>
  /** The processes that were started, in order. */
  processes(): readonly ProductProcess[]
  addUser(role: Principal['role'], scope?: Partial<Principal>): Promise<Principal>
  /** Accept a file as the API would; answers the id of the job. */
  accept(
    content: string | Buffer,
    form: { dataset: string } & Record<string, string>,
    as?: Principal,
  ): Promise<string>
  /** Wait until a job is final. */
  finished(jobId: string, within?: number): Promise<Job>
  /** Accept a file and wait until its job is final. */
  import(content: string | Buffer, form: { dataset: string } & Record<string, string>): Promise<Job>
  /** The text of an artifact of a job. */
  artifact(jobId: string, name: string): Promise<string>
  close(): Promise<void>
}

/**
 * Make an installation; `workers` of it are started at once. Its database may lie on another server than that of all
 * tests; `settings` are added to what its processes are started with, say the address of another Redis. Metrics follow
 * the imports only where a test is about them: to compute them all costs more than most imports of tests. With
 * `restored` it goes on with a database and a data folder that are there already, and has an empty Redis.
 */
export async function createTestSystem(
  options: {
    workers?: number
    databaseServer?: string
    metrics?: boolean
    settings?: Record<string, string>
    restored?: { database: TestDatabase; dataDir: string }
  } = {},
): Promise<TestSystem> {
  const { database, dataDir } = options.restored ?? (await createPlaces(options.databaseServer))
  const redis = createTestRedis()
  const store = createDiskStore(join(dataDir, 'artifacts'))
  const processes: ProductProcess[] = []
  const environment = {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    QUEUE_PREFIX: redis.prefix,
    ADUANA_DATA_DIR: dataDir,
    LOG_LEVEL: 'info',
    ADUANA_METRIC_CONCURRENCY: options.metrics === true ? '1' : '0',
    ...options.settings,
  }
  const addUser = (role: Principal['role'], scope: Partial<Principal> = {}) =>
    insertUser(database, role, scope)
  const admin = options.restored ? await theAdmin(database) : await addUser('admin')

  const system: TestSystem = {
    database,
    redis,
    dataDir,
    store,
    admin,
    environment,
    processes: () => processes,
    addUser,
    startWorker: async (settings = {}) => {
      const worker = startProduct('worker', { ...environment, ...settings })
      processes.push(worker)
      await worker.untilLogged('worker.ready', 120_000)
      return worker
    },
    accept: async (content, form, as = admin) => {
      const jobId = newJobId()
      const key = artifactKey(jobId, 'accept', 0, 'original')
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      const stored = await store.put(key, chunks(bytes))
      const upload = { jobId, key, stored, fileName: 'test.csv', mediaType: 'text/csv' }
      await acceptImport({ db: database.db, maxQueued: 1000 }, as, upload, ImportForm.parse(form))
      return jobId
    },
    finished: async (jobId, within = 60_000) => {
      const isFinal = 'select from jobs where id = $1 and completed_at is not null'
      await until(async () => (await database.pool.query(isFinal, [jobId])).rowCount === 1, {
        within,
        what: `job ${jobId} is final`,
      })
      return readJob(database.db, admin, jobId)
    },
    import: async (content, form) => system.finished(await system.accept(content, form)),
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
      await Promise.all(processes.map((process) => process.stop()))
      await redis.close()
      await database.drop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
  await Promise.all(Array.from({ length: options.workers ?? 0 }, () => system.startWorker()))
  return system
}

async function createPlaces(databaseServer?: string): Promise<{ database: TestDatabase; dataDir: string }> {
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

async function theAdmin({ db }: TestDatabase): Promise<Principal> {
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
