// Compares an import, from the upload to COMPLETED, with `psql \copy` of the same rows (clean, unsorted) into a table
// with the same columns, partitions and indexes. Both in turn, in one run, on one durable PostgreSQL.
//
//   node bench/import-vs-copy.mjs [rows=2000000] [rounds=3]
//
// Needs psql on the PATH and a built tree (npm run build).
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { API_HEAP } from '../apps/local/src/application.mjs'
import { startPostgres } from '../apps/local/src/postgres.mjs'
import { startRedis } from '../apps/local/src/redis.mjs'

const ROWS = Number(process.argv[2] ?? 2_000_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'aduana-bench-'))
const processes = []

const program = (app, file, env, nodeArgs = []) =>
  spawn(process.execPath, [...nodeArgs, join(root, `apps/${app}/dist/${file}.js`)], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  })
const psql = (url, ...commands) =>
  execFileSync(
    'psql',
    [url, '-q', '-v', 'ON_ERROR_STOP=1', ...commands.flatMap((command) => ['-c', command])],
    {
      encoding: 'utf8',
    },
  )
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const seconds = (milliseconds) => (milliseconds / 1000).toFixed(2)

/** Highest resident memory of a process in MB, as the kernel counted it. */
async function peakMegabytes(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
}

async function childrenOf(pid) {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean).map(Number)
}

async function call(path, options = {}) {
  const answer = await fetch(`${base}${path}`, {
    ...options,
    headers: { authorization: `Bearer ${token}`, ...options.headers },
  })
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}

async function importFile(path) {
  const began = performance.now()
  const form = new FormData()
  form.set('dataset', 'production')
  form.set('force', 'true')
  form.set('file', await openAsBlob(path), 'bench.csv')
  const { id } = await call('/api/imports', { method: 'POST', body: form })
  for (;;) {
    const job = await call(`/api/jobs/${id}`)
    if (job.status === 'COMPLETED') return { job, milliseconds: performance.now() - began }
    if (job.completedAt) throw new Error(`${job.status}: ${job.message}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

let base = ''
let token = ''
const postgres = await startPostgres({ dir: join(folder, 'postgres'), durable: true })
const redis = await startRedis({ dir: join(folder, 'redis'), persistent: true })
try {
  const env = {
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    ADUANA_DATA_DIR: join(folder, 'data'),
    ADUANA_JWT_SECRET: randomBytes(32).toString('hex'),
    ADUANA_ADMIN_EMAIL: 'bench@aduana.local',
    ADUANA_ADMIN_PASSWORD: randomBytes(12).toString('hex'),
    PORT: '3987',
    LOG_LEVEL: 'warn',
  }
  execFileSync(process.execPath, [join(root, 'apps/worker/dist/migrate.js')], {
    env: { ...process.env, ...env },
  })
  const api = program('api', 'main', env, API_HEAP)
  const worker = program('worker', 'main', env)
  processes.push(api, worker)
  base = 'http://127.0.0.1:3987'
  for (;;) {
    const ready = await fetch(`${base}/health/ready`).catch(() => undefined)
    if (ready?.ok) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const login = await fetch(`${base}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: env.ADUANA_ADMIN_EMAIL, password: env.ADUANA_ADMIN_PASSWORD }),
  })
  token = (await login.json()).token

  const sample = (rows, file) =>
    execFileSync(process.execPath, [
      join(root, 'apps/cli/dist/main.js'),
      'sample',
      '--rows',
      String(rows),
      '--clean',
      '--seed',
      String(rows),
      '--out',
      file,
    ])
  const small = join(folder, 'small.csv')
  const large = join(folder, 'large.csv')
  sample(100, small)
  sample(ROWS, large)

  await importFile(small)
  const smalls = []
  for (let round = 0; round < 9; round += 1) smalls.push((await importFile(small)).milliseconds)
  console.log(`100 rows: median ${Math.round(median(smalls))} ms, best ${Math.round(Math.min(...smalls))} ms`)

  // The rows as a table takes them, in the order of the file.
  await importFile(large)
  const plain = join(folder, 'plain.csv')
  psql(postgres.url, `\\copy (select * from fact_production order by id) to '${plain}' csv`)
  psql(
    postgres.url,
    'create table copy_target (like fact_production including all) partition by range (fecha_contabilizacion)',
  )
  const partitions = psql(
    postgres.url,
    `\\copy (select format('create table %I partition of copy_target %s', 'copy_' || c.relname, pg_get_expr(c.relpartbound, c.oid)) from pg_inherits join pg_class c on c.oid = inhrelid where inhparent = 'fact_production'::regclass) to stdout`,
  )
  for (const statement of partitions.split('\n').filter(Boolean)) psql(postgres.url, statement)

  const imports = []
  const copies = []
  for (let round = 0; round < ROUNDS; round += 1) {
    psql(
      postgres.url,
      'truncate fact_production',
      'delete from window_ledger',
      'truncate copy_target',
      'checkpoint',
    )
    const { job, milliseconds } = await importFile(large)
    imports.push(milliseconds)
    const stages = job.attempts.map(
      ({ stage, startedAt, finishedAt }) =>
        `${stage} ${seconds(Date.parse(finishedAt) - Date.parse(startedAt))}`,
    )
    psql(postgres.url, 'truncate fact_production', 'checkpoint')
    const began = performance.now()
    psql(postgres.url, `\\copy copy_target from '${plain}' csv`)
    copies.push(performance.now() - began)
    console.log(
      `round ${round + 1}: import ${seconds(imports.at(-1))} s (${stages.join(', ')}), \\copy ${seconds(copies.at(-1))} s, speed ${(copies.at(-1) / imports.at(-1)).toFixed(2)} x`,
    )
  }
  console.log(
    `median: import ${seconds(median(imports))} s, \\copy ${seconds(median(copies))} s; speed ${(median(copies) / median(imports)).toFixed(2)} x that of \\copy`,
  )
  const children = await childrenOf(worker.pid)
  console.log(
    `peak memory in MB: API ${await peakMegabytes(api.pid)}, worker ${await peakMegabytes(worker.pid)}, its children ${(await Promise.all(children.map(peakMegabytes))).join(' and ')}`,
  )
} finally {
  for (const child of processes) child.kill('SIGTERM')
  await Promise.all(
    processes.map((child) => child.exitCode ?? new Promise((resolve) => child.once('exit', resolve))),
  )
  await redis.stop()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}
