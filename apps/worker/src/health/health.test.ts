import { startProxy } from '@aduana/testkit/proxy'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterAll, describe, expect, test } from 'vitest'
import { startSilentRedis } from '../testing/silent-redis.ts'

const LONG = 600_000
const systems: TestSystem[] = []
const proxies: { close(): Promise<void> }[] = []
afterAll(async () => {
  await Promise.all(systems.map((system) => system.close()))
  await Promise.all(proxies.map((proxy) => proxy.close()))
}, 60_000)

async function install(): Promise<TestSystem> {
  const system = await createTestSystem()
  systems.push(system)
  return system
}

let files = 0
function aFile(): string {
  files += 1
  return `fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion
2026-03-02;M001;W0001;1;steel;H${files};3;1,500;\n`
}
const logged = (lines: readonly string[], event: string) =>
  lines.find((line) => line.includes(`"event":"${event}"`))
const present = async (system: TestSystem) =>
  (
    await system.database.pool.query(
      `select stages, seen_at from workers where stages <> '{}' order by started_at`,
    )
  ).rows
/** Waits for `times` more heartbeats of the only worker. */
async function heartbeats(system: TestSystem, times: number): Promise<void> {
  const seen = new Set<string>()
  await until(
    async () => {
      for (const row of await present(system)) seen.add(String(row.seen_at.getTime()))
      return seen.size > times
    },
    { within: 240_000, what: `the worker says ${times} times that it takes jobs` },
  )
}

// The tests mostly wait, so they run concurrently.
describe.concurrent('a worker', () => {
  test('whose connections for jobs no longer respond while jobs wait logs that and exits', {
    timeout: LONG,
  }, async () => {
    const system = await install()
    const redis = await startSilentRedis(system.redis.url)
    proxies.push(redis)
    const worker = await system.startWorker({ REDIS_URL: redis.url })
    await system.import(aFile(), { dataset: 'production' })
    redis.silence()
    const id = await system.accept(aFile(), { dataset: 'production' })
    await until(() => !worker.alive(), { within: 300_000, what: 'the worker exits' })
    expect(await worker.exited).toEqual({ code: 70, signal: null })
    expect(JSON.parse(logged(worker.lines, 'worker.stuck') ?? '{}')).toMatchObject({
      level: 60,
      fault: 'not_taking',
      stage: 'parse',
      waiting: 1,
    })
    expect(await present(system)).toEqual([])
    await system.startWorker()
    expect((await system.finished(id, 240_000)).status).toBe('COMPLETED')
  })

  test('with half-open connections to Redis takes jobs again, or exits', {
    timeout: LONG,
  }, async () => {
    const system = await install()
    const { hostname, port } = new URL(system.redis.url)
    const proxy = await startProxy({ host: hostname, port: Number(port) })
    proxies.push(proxy)
    const worker = await system.startWorker({ REDIS_URL: proxy.urlOf(system.redis.url) })
    await system.import(aFile(), { dataset: 'production' })
    proxy.pause('existing')
    const id = await system.accept(aFile(), { dataset: 'production' })
    const first = await Promise.race([
      worker.exited.then(({ code }) => code),
      system.finished(id, 240_000).then((job) => job.status),
    ])
    expect([70, 'COMPLETED']).toContain(first)
    if (first === 70) await system.startWorker()
    expect((await system.finished(id, 240_000)).status).toBe('COMPLETED')
  })

  test('whose stage attempts hang without heartbeats while jobs wait exits', { timeout: LONG }, async () => {
    const system = await install()
    const worker = await system.startWorker({
      ADUANA_FAIL_POINTS: 'queue.before-acknowledge:parse=hang',
      ADUANA_STAGE_CONCURRENCY: 'parse=1',
      ADUANA_STUCK_SECONDS: '6',
    })
    const ids = [
      await system.accept(aFile(), { dataset: 'production' }),
      await system.accept(aFile(), { dataset: 'production' }),
    ]
    await until(() => !worker.alive(), { within: 300_000, what: 'the worker exits' })
    expect(await worker.exited).toEqual({ code: 70, signal: null })
    expect(logged(worker.lines, 'worker.stuck')).toContain('"fault":"slots_stuck"')
    await system.startWorker()
    for (const id of ids) expect((await system.finished(id, 240_000)).status).toBe('COMPLETED')
  })

  test('whose event loop is blocked logs that and is killed', { timeout: LONG }, async () => {
    const system = await install()
    const block = `import { isMainThread } from 'node:worker_threads'
      if (isMainThread && /apps.worker.(dist|bundle).main\\.js$/.test(process.argv[1]))
        process.on('SIGUSR2', () => { for (;;); })`
    const worker = await system.startWorker({
      ADUANA_WATCHDOG_SECONDS: '5',
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(block)}`,
    })
    worker.signal('SIGUSR2')
    expect(await worker.exited).toEqual({ code: null, signal: 'SIGKILL' })
    expect(logged(worker.lines, 'worker.event_loop_blocked')).toContain('"seconds":5')
  })

  test('that is idle continues, and its heartbeats name all stages', {
    timeout: LONG,
  }, async () => {
    const system = await install()
    const worker = await system.startWorker({ ADUANA_STUCK_SECONDS: '3', ADUANA_WATCHDOG_SECONDS: '3' })
    await heartbeats(system, 3)
    expect(worker.alive()).toBe(true)
    expect((await present(system)).map((row) => row.stages)).toEqual([
      ['parse', 'validate', 'quarantine', 'load', 'fan-out'],
    ])
    await worker.stop()
    expect(await worker.exited).toEqual({ code: 0, signal: null })
    expect(await present(system)).toEqual([])
  })

  test('whose queue is paused logs that and continues', { timeout: LONG }, async () => {
    const system = await install()
    const worker = await system.startWorker({ ADUANA_STUCK_SECONDS: '3' })
    const meta = `${system.redis.prefix}:1-parse:meta`
    await system.redis.redis.hset(meta, 'paused', '1')
    const id = await system.accept(aFile(), { dataset: 'production' })
    await worker.untilLogged('worker.queue_held', 240_000)
    await heartbeats(system, 3)
    expect(worker.alive()).toBe(true)
    await system.redis.redis.hdel(meta, 'paused')
    expect((await system.finished(id, 240_000)).status).toBe('COMPLETED')
  })

  test('serves its health endpoints', { timeout: LONG }, async () => {
    const system = await install()
    const port = 20_000 + (process.pid % 20_000)
    await system.startWorker({ ADUANA_HEALTH_PORT: String(port) })
    const ask = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status
    await until(async () => (await ask('/health/ready')) === 200, { what: 'the worker is ready' })
    expect([await ask('/health/live'), await ask('/other')]).toEqual([200, 404])
  })
})
