// What it costs to keep the rows that an import replaces: the same file is imported over itself by a worker that keeps
// them, and by one that does not. Both in turn, in one run. Ends with an undo of the last import.
//
//   node bench/before-image.mjs [rows=1000000] [rounds=3]
//
// Needs psql on the PATH and a built tree (npm run build).
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { API_HEAP } from '../apps/local/src/application.mjs'
import { startPostgres } from '../apps/local/src/postgres.mjs'
import { startRedis } from '../apps/local/src/redis.mjs'

const ROWS = Number(process.argv[2] ?? 1_000_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const PORT = '3989'
const base = `http://127.0.0.1:${PORT}`
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'aduana-bench-'))
const processes = []
let token = ''

const program = (app, file, env, nodeArgs = []) =>
  spawn(process.execPath, [...nodeArgs, join(root, `apps/${app}/dist/${file}.js`)], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  })
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const seconds = (milliseconds) => (milliseconds / 1000).toFixed(2)

async function call(path, options = {}) {
  const answer = await fetch(`${base}${path}`, {
    ...options,
    headers: { authorization: `Bearer ${token}`, ...options.headers },
  })
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}

async function finished(id) {
  for (;;) {
    const job = await call(`/api/jobs/${id}`)
    if (job.status === 'COMPLETED') return job
    if (job.completedAt) throw new Error(`${job.status}: ${job.message}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Milliseconds that the load of a job took. */
function loadTime(job) {
  const run = job.attempts.find(({ stage, state }) => stage === 'load' && state === 'done')
  return Date.parse(run.finishedAt) - Date.parse(run.startedAt)
}

async function importFile(path) {
  const form = new FormData()
  form.set('dataset', 'production')
  form.set('force', 'true')
  form.set('file', await openAsBlob(path), 'bench.csv')
  return finished((await call('/api/imports', { method: 'POST', body: form })).id)
}

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
    PORT,
    LOG_LEVEL: 'warn',
  }
  const psql = (...commands) =>
    execFileSync('psql', [
      postgres.url,
      '-q',
      '-v',
      'ON_ERROR_STOP=1',
      ...commands.flatMap((command) => ['-c', command]),
    ])
  execFileSync(process.execPath, [join(root, 'apps/worker/dist/migrate.js')], {
    env: { ...process.env, ...env },
  })
  processes.push(program('api', 'main', env, API_HEAP))
  let worker
  const useWorker = async (nodeArgs) => {
    if (worker) {
      worker.kill('SIGTERM')
      await new Promise((resolve) => worker.once('exit', resolve))
    }
    worker = program('worker', 'main', env, nodeArgs)
    processes.push(worker)
    await importFile(small)
  }
  while (!(await fetch(`${base}/health/ready`).catch(() => undefined))?.ok)
    await new Promise((resolve) => setTimeout(resolve, 100))
  const login = await fetch(`${base}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: env.ADUANA_ADMIN_EMAIL, password: env.ADUANA_ADMIN_PASSWORD }),
  })
  token = (await login.json()).token

  const [file, small] = [join(folder, 'rows.csv'), join(folder, 'small.csv')]
  execFileSync(
    process.execPath,
    [join(root, 'apps/cli/dist/main.js'), 'sample', '--clean', '--rows', String(ROWS), '--out', file],
    { stdio: 'ignore' },
  )
  execFileSync(
    process.execPath,
    [
      join(root, 'apps/cli/dist/main.js'),
      'sample',
      '--clean',
      '--rows',
      '100',
      '--from',
      '2020-01-01',
      '--to',
      '2020-01-05',
      '--out',
      small,
    ],
    { stdio: 'ignore' },
  )
  await useWorker([])
  let last = await importFile(file)
  const [without, kept] = [[], []]
  for (let round = 0; round < ROUNDS; round += 1) {
    await useWorker(['--import', join(root, 'bench/without-image.mjs')])
    psql('checkpoint')
    without.push(loadTime(await importFile(file)))
    await useWorker([])
    psql('checkpoint')
    last = await importFile(file)
    kept.push(loadTime(last))
    const image = last.artifacts.find(({ name }) => name.startsWith('before-image'))
    console.log(
      `round ${round + 1}: load without the image ${seconds(without.at(-1))} s, with it ${seconds(kept.at(-1))} s; ${last.counts.removed} rows kept in ${(image.bytes / 1e6).toFixed(1)} MB`,
    )
  }
  console.log(
    `median: ${seconds(median(without))} s and ${seconds(median(kept))} s, ${(median(kept) / median(without)).toFixed(2)} x`,
  )
  const undo = await finished((await call(`/api/jobs/${last.id}/undo`, { method: 'POST' })).id)
  const { deleted, restored } = undo.result.reversed
  console.log(`undo: ${deleted} rows deleted, ${restored} brought back, ${seconds(loadTime(undo))} s`)
} finally {
  for (const child of processes) child.kill('SIGTERM')
  await Promise.all(
    processes.map((child) => child.exitCode ?? new Promise((resolve) => child.once('exit', resolve))),
  )
  await redis.stop()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}
