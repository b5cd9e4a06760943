import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ImportAccepted } from '@aduana/contracts/jobs'
import { startApi } from '@aduana/testkit/api'
import { createTestS3, type TestS3 } from '@aduana/testkit/s3'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

/** Returns a file of production with some rejects. */
function productionFile(rows: number): string {
  const lines = Array.from({ length: rows }, (_, n) => {
    const machine = n % 50 === 0 ? 'no machine' : 'M001'
    return `2024-01-${String((n % 28) + 1).padStart(2, '0')};${machine};W0001;1;PVC;L${n};1;1.5;`
  })
  return `${HEADER}\n${lines.join('\n')}\n`
}

describe('an installation whose artifacts are in S3', () => {
  let s3: TestS3
  let system: TestSystem
  let bucket: string
  let settings: Record<string, string>
  const stops: (() => Promise<void>)[] = []
  beforeAll(async () => {
    s3 = await createTestS3()
  })
  afterAll(() => s3.stop())
  beforeEach(async () => {
    bucket = await s3.addBucket()
    settings = s3.environment(bucket, 'aduana')
    system = await createTestSystem()
  })
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()))
    await system.close()
  })

  const start = async () => {
    const api = await startApi(system, settings)
    stops.push(() => api.process.stop())
    return api
  }

  test('imports a file and serves its artifacts, without a folder of artifacts', {
    timeout: 120_000,
  }, async () => {
    const [api] = await Promise.all([start(), system.startWorker(settings)])
    const content = productionFile(1000)
    const response = await api.upload(content, { dataset: 'production' })
    const { id } = ImportAccepted.parse(await response.json())
    const job = await system.finished(id, 60_000)
    expect(job).toMatchObject({
      status: 'COMPLETED',
      counts: { records: 1000, loaded: 980, quarantined: 20 },
    })

    const original = await api.fetch(`/api/jobs/${id}/artifacts/original`)
    expect(await original.text()).toBe(content)
    const rejects = await (await api.fetch(`/api/jobs/${id}/artifacts/rejects.ndjson`)).text()
    expect(rejects.trim().split('\n')).toHaveLength(20)
    const known = job.artifacts.find(({ name }) => name === 'rejects.ndjson')
    expect(createHash('sha256').update(rejects).digest('hex')).toBe(known?.sha256)

    const { rows } = await system.database.pool.query('select key from artifacts')
    const kept = (await s3.keys(bucket)).filter((key) => key.startsWith('aduana/jobs/'))
    expect(kept).toEqual(rows.map(({ key }: { key: string }) => `aduana/${key}`).sort())
    expect(existsSync(join(system.dataDir, 'artifacts'))).toBe(false)
  })

  test.for(['artifact.before-rename', 'artifact.after-rename'])(
    'completes an import after its worker was killed at %s',
    { timeout: 180_000 },
    async (point) => {
      const api = await start()
      const doomed = await system.startWorker({ ...settings, ADUANA_FAIL_POINTS: `${point}=kill` })
      const response = await api.upload(productionFile(300), { dataset: 'production' })
      const { id } = ImportAccepted.parse(await response.json())
      expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
      await system.startWorker(settings)
      expect(await system.finished(id, 120_000)).toMatchObject({
        status: 'COMPLETED',
        counts: { records: 300, loaded: 294, quarantined: 6 },
      })
    },
  )

  test('is not ready while the bucket is not writable, and is ready again afterwards', {
    timeout: 120_000,
  }, async () => {
    const api = await start()
    const status = async () => (await fetch(`${api.url}/health/ready`)).status
    expect(await status()).toBe(200)
    s3.setUnavailable(true)
    await until(async () => (await status()) === 503, { within: 60_000, what: 'not ready' })
    const answer = await api.upload(productionFile(10), { dataset: 'production' })
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ code: 'unavailable' })
    s3.setUnavailable(false)
    await until(async () => (await status()) === 200, { within: 60_000, what: 'ready again' })
  })

  test('refuses a worker that is configured to store files in a folder', { timeout: 60_000 }, async () => {
    await start()
    await expect(system.startWorker()).rejects.toThrow(
      /is not the artifact store of this database, which uses.*ADUANA_ARTIFACTS_URL/s,
    )
  })
})
