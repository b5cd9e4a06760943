// Compares the load stage of a dry run with that of the import itself: a file of which every tenth row is changed, over
// the same rows. Both in turn, in one run, on one durable PostgreSQL.
//
//   node bench/preview-vs-load.mjs [rows=1000000] [rounds=3]
//
// Needs a built tree (npm run build).
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { API_HEAP } from '../apps/local/src/application.mjs'
import { startPostgres } from '../apps/local/src/postgres.mjs'
import { startRedis } from '../apps/local/src/redis.mjs'

const ROWS = Number(process.argv[2] ?? 1_000_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'aduana-bench-'))
const processes = []
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const program = (app, file, env, nodeArgs = []) =>
  spawn(process.execPath, [...nodeArgs, join(root, `apps/${app}/dist/${file}.js`)], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  })

async function call(path, options = {}) {
  const answer = await fetch(`${base}${path}`, {
    ...options,
    headers: { authorization: `Bearer ${token}`, ...options.headers },
  })
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}

/** Import a file; answers the job and the seconds of its load stage. */
async function importFile(path, fields = {}) {
  const form = new FormData()
  for (const [name, value] of Object.entries({ dataset: 'production', force: 'true', ...fields }))
    form.set(name, value)
  form.set('file', await openAsBlob(path), 'bench.csv')
  const { id } = await call('/api/imports', { method: 'POST', body: form })
  for (;;) {
    const job = await call(`/api/jobs/${id}`)
    if (job.completedAt) {
      if (job.status !== 'COMPLETED') throw new Error(`${job.status}: ${job.message}`)
      const load = job.attempts.find(({ stage, state }) => stage === 'load' && state === 'done')
      return { job, seconds: (Date.parse(load.finishedAt) - Date.parse(load.startedAt)) / 1000 }
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const base = 'http://127.0.0.1:3988'
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
    PORT: '3988',
    LOG_LEVEL: 'warn',
  }
  execFileSync(process.execPath, [join(root, 'apps/worker/dist/migrate.js')], {
    env: { ...process.env, ...env },
  })
  processes.push(program('api', 'main', env, API_HEAP), program('worker', 'main', env))
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

  const before = join(folder, 'before.csv')
  const after = join(folder, 'after.csv')
  execFileSync(process.execPath, [
    join(root, 'apps/cli/dist/main.js'),
    ...['sample', '--rows', String(ROWS), '--clean', '--seed', '7', '--out', before],
  ])
  // Another remark in every tenth row, which is its last column.
  const lines = (await readFile(before, 'utf8')).split('\n')
  await writeFile(
    after,
    lines
      .map((line, index) =>
        index > 0 && index % 10 === 0 && line ? line.replace(/[^;,]*$/, 'changed') : line,
      )
      .join('\n'),
  )
  const previews = []
  const loads = []
  for (let round = 0; round < ROUNDS; round += 1) {
    await importFile(before)
    const dry = await importFile(after, { dryRun: 'true' })
    const { preview } = await call(`/api/jobs/${dry.job.id}/preview`)
    const real = await importFile(after)
    previews.push(dry.seconds)
    loads.push(real.seconds)
    console.log(
      `round ${round + 1}: preview ${dry.seconds.toFixed(2)} s, load ${real.seconds.toFixed(2)} s, ratio ${(dry.seconds / real.seconds).toFixed(2)}; ${JSON.stringify(preview.totals)}`,
    )
  }
  console.log(
    `median: preview ${median(previews).toFixed(2)} s, load ${median(loads).toFixed(2)} s, ratio ${(median(previews) / median(loads)).toFixed(2)}`,
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
