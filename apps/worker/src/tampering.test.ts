import { randomUUID } from 'node:crypto'
import { STAGE_NAMES, type StageName, stageQueueName } from '@aduana/contracts/stages'
import { startApi, type TestApi } from '@aduana/testkit/api'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, expect, test } from 'vitest'

const PATIENCE = 240_000
const ROWS = 20
const FAR = 365 * 86_400_000

let system: TestSystem
let api: TestApi

beforeAll(async () => {
  system = await createTestSystem()
  api = await startApi(system)
  const roomy = { ADUANA_MAX_ACTIVE: '60', ADUANA_MAX_ACTIVE_PER_TENANT: '60' }
  await Promise.all([system.startWorker(roomy), system.startWorker(roomy)])
}, 120_000)
afterAll(async () => {
  await api.process.stop()
  await system.close()
}, 60_000)

/** Sends a request to Bull Board as its page does, and returns the status. */
async function board(method: 'PUT' | 'POST' | 'PATCH', path: string, body?: unknown): Promise<number> {
  const response = await api.fetch(`/admin/queues/api/queues/${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  await response.text()
  return response.status
}
/** Sends a request that must succeed. */
async function click(method: 'PUT' | 'POST' | 'PATCH', path: string, body?: unknown): Promise<void> {
  const status = await board(method, path, body)
  expect(status, `${method} ${path}`).toBeLessThan(300)
}
const queue = (stage: StageName) => stageQueueName(stage)
const place = (stage: StageName, id: string, attempt = 1) => `${queue(stage)}/${id}_${attempt}_${stage}`
const add = (stage: StageName, data: unknown, options: Record<string, unknown> = {}) =>
  click('POST', `${queue(stage)}/add`, { name: 'made up', data, options })

/** Returns a file with a day of its own, so that each import owns a day. */
let days = 0
function aFile(): string {
  days += 1
  const day = new Date(Date.UTC(2020, 0, days)).toISOString().slice(0, 10)
  const lines = Array.from({ length: ROWS }, (_, row) => `${day};M001;W0001;1;steel;T${days}-${row};3;1,500;`)
  return `fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion\n${lines.join('\n')}\n`
}
const accept = () => system.accept(aFile(), { dataset: 'production' })

/** Checks the rows of a job that was loaded once and completely. */
async function expectRight(id: string): Promise<void> {
  const job = await system.finished(id, PATIENCE)
  expect(job, JSON.stringify(job.error)).toMatchObject({
    status: 'COMPLETED',
    counts: { records: ROWS, loaded: ROWS, quarantined: 0, duplicates: 0 },
  })
  const found = await system.database.pool.query(
    `select
       (select count(*)::int from fact_production p where p.id >> 32 = i.import_no) as rows,
       (select count(distinct lote)::int from fact_production p where p.id >> 32 = i.import_no) as lots,
       (select count(*)::int from dataset_updates u where u.job_id = i.job_id) as updates,
       (select count(*)::int from stage_results s where s.job_id = i.job_id and s.state = 'done') as done
     from imports i where i.job_id = $1`,
    [id],
  )
  expect(found.rows).toEqual([{ rows: ROWS, lots: ROWS, updates: 1, done: STAGE_NAMES.length }])
}

type Tamper = (id: string, other: string) => Promise<unknown>

/** Kinds of tampering with an import whose first stage waits. */
const AT_PARSE: Record<string, Tamper> = {
  nothing: async () => undefined,
  'remove the stage that waits': (id) => click('PUT', `${place('parse', id)}/clean`),
  'remove the last stage, and with it the whole flow': (id) => click('PUT', `${place('fan-out', id)}/clean`),
  'cut a stage off from those before it': (id) =>
    click('PUT', `${place('validate', id)}/remove-unprocessed-children`),
  'turn its data into those of another job': (id, other) =>
    click('PATCH', `${place('parse', id)}/update-data`, { jobData: { jobId: other, attempt: 1 } }),
  'turn its data into another attempt': (id) =>
    click('PATCH', `${place('parse', id)}/update-data`, { jobData: { jobId: id, attempt: 99 } }),
  'turn its data into garbage': (id) =>
    click('PATCH', `${place('parse', id)}/update-data`, { jobData: { jobId: "'; drop table jobs" } }),
  'turn the data of the last stage into garbage': (id) =>
    click('PATCH', `${place('fan-out', id)}/update-data`, { jobData: [] }),
  'change its priority': (id) => click('PATCH', `${place('parse', id)}/priority`, { priority: 9 }),
  'duplicate it': (id) => add('parse', { jobId: id, attempt: 1 }),
  'add its last stage before the first has run': (id) => add('fan-out', { jobId: id, attempt: 1 }),
  'add its load before anything is parsed': (id) => add('load', { jobId: id, attempt: 1 }),
  'take the place of its next attempt': async (id) => {
    await add('parse', { jobId: id, attempt: 1 }, { jobId: `${id}_2_parse` })
    await click('PUT', `${place('parse', id)}/clean`)
  },
  'put its next attempt off by a year': async (id) => {
    await add('parse', { jobId: id, attempt: 2 }, { jobId: `${id}_2_parse`, delay: FAR })
    await click('PUT', `${place('parse', id)}/clean`)
  },
}

/** Kinds of tampering with an import whose load waits. */
const AT_LOAD: Record<string, Tamper> = {
  'retry a stage that is done': (id) => click('PUT', `${place('parse', id)}/retry`),
  'remove stages that are done': async (id) => {
    await click('PUT', `${place('parse', id)}/clean`)
    await click('PUT', `${place('validate', id)}/clean`)
  },
  'remove the load': (id) => click('PUT', `${place('load', id)}/clean`),
  'turn the load into that of another job': (id, other) =>
    click('PATCH', `${place('load', id)}/update-data`, { jobData: { jobId: other, attempt: 1 } }),
  'load it many times at once': (id) =>
    Promise.all(Array.from({ length: 8 }, () => add('load', { jobId: id, attempt: 1 }))),
  'turn its load into garbage': (id) =>
    click('PATCH', `${place('load', id)}/update-data`, { jobData: 'garbage' }),
}

const hold = (stage: StageName) => board('PUT', `${queue(stage)}/pause`)
const letGo = (stage: StageName) => board('PUT', `${queue(stage)}/resume`)
const waiting = (stage: StageName, ids: readonly string[]) =>
  until(
    async () => {
      const listed = await system.redis.redis.lrange(`${system.redis.prefix}:${queue(stage)}:wait`, 0, -1)
      return ids.every((id) => listed.includes(`${id}_1_${stage}`))
    },
    { within: PATIENCE, what: `all imports wait for ${stage}` },
  )

/**
 * Pauses a stage, uploads an import for each kind of tampering and one more, tampers, and resumes the stage. All imports
 * must complete.
 */
async function tamperAt(stage: StageName, kinds: Record<string, Tamper>): Promise<void> {
  expect(await hold(stage)).toBe(200)
  const ids = await Promise.all(Object.keys(kinds).map(accept))
  const other = await accept()
  await waiting(stage, [...ids, other])
  for (const [index, tamper] of Object.values(kinds).entries()) await tamper(ids[index] ?? '', other)
  expect(await letGo(stage)).toBe(200)
  for (const [index, name] of Object.keys(kinds).entries())
    await expectRight(ids[index] ?? '').catch((error: Error) => {
      throw new Error(`after "${name}": ${error.message}`, { cause: error })
    })
  await expectRight(other)
}

test(
  'an import that waits to be parsed is loaded once and completely, whatever is done to it in Bull Board',
  { timeout: 2 * PATIENCE },
  () => tamperAt('parse', AT_PARSE),
)

test(
  'an import that waits to be loaded is loaded once and completely, whatever is done to it in Bull Board',
  { timeout: 2 * PATIENCE },
  () => tamperAt('load', AT_LOAD),
)

test('a completed import is not changed by retries, additions or obliteration in Bull Board', {
  timeout: 2 * PATIENCE,
}, async () => {
  const id = await accept()
  await expectRight(id)
  const before = await api.fetch(`/api/jobs/${id}`).then((response) => response.json())
  for (const stage of STAGE_NAMES) {
    await board('PUT', `${queue(stage)}/retry/completed`)
    await board('PUT', `${queue(stage)}/retry/failed`)
    await board('PUT', `${place(stage, id)}/retry`)
    for (const attempt of [1, 2]) await add(stage, { jobId: id, attempt })
    await add(stage, { jobId: randomUUID(), attempt: 1 })
    await add(stage, { garbage: true })
  }
  const next = await accept()
  await expectRight(next)
  await hold('load')
  const last = await accept()
  await waiting('load', [last])
  expect(await board('PUT', `${queue('load')}/obliterate`, { force: true })).toBe(200)
  await letGo('load')
  await expectRight(last)
  await expectRight(id)
  expect(await api.fetch(`/api/jobs/${id}`).then((response) => response.json())).toEqual(before)
})

test('imports complete although every action in Bull Board is used on them', {
  timeout: 2 * PATIENCE,
}, async () => {
  const ids = await Promise.all(Array.from({ length: 12 }, accept))
  const clicks: Tamper[] = [
    ...STAGE_NAMES.flatMap((stage): Tamper[] => [
      () => board('PUT', `${queue(stage)}/retry/completed`),
      () => board('PUT', `${queue(stage)}/clean/completed`),
      () => board('PUT', `${queue(stage)}/promote`),
      (id) => board('PUT', `${place(stage, id)}/retry`),
      (id) => board('PUT', `${place(stage, id)}/clean`),
      (id, other) =>
        board('PATCH', `${place(stage, id)}/update-data`, { jobData: { jobId: other, attempt: 1 } }),
      (id) => add(stage, { jobId: id, attempt: 1 }),
      async () => {
        await hold(stage)
        await letGo(stage)
      },
    ]),
    () => board('PUT', `${queue('validate')}/empty`),
    async () => {
      await hold('quarantine')
      await board('PUT', `${queue('quarantine')}/obliterate`, { force: true })
      await letGo('quarantine')
    },
  ]
  // Each action once, in an order that mixes the stages: the reconciler fails a job that is lost too often.
  const order = clicks.map((act, index) => ({ act, place: (index * 17) % clicks.length }))
  for (const { act, place: turn } of order.sort((a, b) => a.place - b.place))
    await act(ids[turn % ids.length] ?? '', ids[(turn + 1) % ids.length] ?? '')
  for (const id of ids) await expectRight(id)
})
