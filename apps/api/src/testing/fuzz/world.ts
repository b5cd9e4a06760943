import { randomUUID } from 'node:crypto'
import { jsonb } from '@aduana/db/jsonb'
import { tell, writeValues } from '../metrics.ts'
import { importForm, productionFile } from '../multipart.ts'
import type { TestApi, TestUser } from '../start-api.ts'
import type { Operation } from './requests.ts'
import type { Schema, World } from './schema-values.ts'

/** The API's own document, as operations and named schemas. */
export function readDocument(document: unknown): {
  operations: Operation[]
  schemas: Record<string, Schema>
} {
  const { paths, components } = Object(document)
  const operations = Object.entries<Record<string, unknown>>(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]): Operation => {
      const { parameters = [], requestBody } = Object(described)
      const contents = Object.entries(Object(requestBody?.content))
      const bodies = Object.fromEntries(contents.map(([type, content]) => [type, Object(content).schema]))
      return { method: method.toUpperCase(), path, parameters, bodies }
    }),
  )
  return { operations, schemas: components.schemas }
}

/** Fills the API with jobs, runs, rejects and values, so that requests find data. */
export async function fill(api: TestApi, admin: TestUser): Promise<void> {
  for (let file = 0; file < 3; file += 1) {
    const form = importForm(productionFile())
    await admin.ask('/api/imports', { method: 'POST', body: form })
  }
  await writeValues(api.db, 'orders.orders', [
    ['2026-03-02', 'A', 'A1', 1],
    ['2026-03-08', 'B', null, 8],
  ])
  for (const dataset of ['orders', 'production'])
    await tell(admin, { eventKey: randomUUID(), dataset, days: [{ from: '2026-03-02', to: '2026-03-05' }] })
  const job = await api.db
    .selectFrom('jobs as j')
    .innerJoin('imports as i', 'i.job_id', 'j.id')
    .select(['j.id', 'j.dataset_id', 'i.import_no'])
    .executeTakeFirstOrThrow()
  for (const record of [1, 2])
    await api.db
      .insertInto('quarantined_records')
      .values({
        id: (BigInt(job.import_no) << 32n) + BigInt(record),
        ...{ job_id: job.id, dataset_id: job.dataset_id ?? '', record, line: record + 1, raw: 'x' },
        ...{ codes: ['required'], columns: ['lote'] },
        reasons: jsonb([{ column: 'lote', code: 'required', message: 'the cell is empty', value: null }]),
      })
      .execute()
}

/** Existing data of the API, by the names of the fields that refer to it. */
export async function readWorld(admin: TestUser, schemas: Record<string, Schema>): Promise<World> {
  const read = async (path: string) => Object(await (await admin.ask(path)).json())
  const listed = async (path: string) => {
    const { items, next } = await read(path)
    return { items: Object(items) as Record<string, unknown>[], next }
  }
  const lists = await Promise.all(
    [
      '/api/jobs?limit=1',
      '/api/runs?limit=1',
      '/api/metrics?limit=1',
      '/api/metrics/orders.orders/values?limit=1',
      '/api/datasets/orders/versions?limit=1',
    ].map(listed),
  )
  const jobs = (await listed('/api/jobs')).items.map(({ id }) => id)
  const runs = (await listed('/api/runs')).items.map(({ id }) => id)
  const metrics = (await listed('/api/metrics')).items.map(({ code }) => code)
  const series = (await listed('/api/series')).items.map(({ code }) => code)
  const datasets = (await listed('/api/datasets')).items.map(({ code }) => code)
  const companies = ['A', 'B', 'none']
  return {
    schemas,
    known: {
      id: [...jobs, ...runs],
      code: [...metrics.slice(0, 8), ...series.slice(0, 4), ...datasets, 'fuzz', 'fuzz.one'],
      metric: metrics,
      series,
      dataset: datasets,
      name: ['original', 'rejects.ndjson'],
      cursor: lists.flatMap(({ next }) => (typeof next === 'string' ? [next] : [])),
      date_range: ['2026-03-01..2026-04-01', 'last_7_days', 'this_year', '1900-01-01..1910-01-01'],
      time_zone: ['America/Bogota', 'UTC', '+23:59', 'GMT+9'],
      company: companies,
      warehouse: ['A1', ''],
      companies: [companies],
      limit: [1, '1', 2],
    },
  }
}

/** Bodies that are accepted, by the method and path of their operation. */
export async function goodBodies(admin: TestUser): Promise<Record<string, unknown[]>> {
  const read = async (path: string) => Object(await (await admin.ask(path)).json())
  const definitions = (items: unknown) =>
    Object.values(Object(items)).map((item) => {
      const { code: _, ...definition } = Object(item)
      return definition
    })
  const { items: datasets } = await read('/api/datasets')
  const { items: metrics } = await read('/api/metrics?limit=40')
  const { items: series } = await read('/api/series')
  const metricDefinitions = await Promise.all(
    Object.values<{ code: string }>(metrics).map(
      async ({ code }) => (await read(`/api/metrics/${code}`)).definition,
    ),
  )
  return {
    'PUT /api/datasets/{code}': definitions(
      Object.values(Object(datasets)).map((dataset) => Object(dataset).definition),
    ),
    'PUT /api/metrics/{code}': definitions(metricDefinitions),
    'PUT /api/series/{code}': definitions(series).map(({ version: _, ...definition }) => definition),
    'POST /api/metrics/{code}/recompute': [{ from: '2026-03-01', to: '2026-03-09' }],
    'POST /api/projections': [
      {
        eventKey: 'fuzz',
        dataset: 'orders',
        occurredAt: '2026-03-02T10:00:00-05:00',
        days: [{ from: '2026-03-01', to: '2026-03-03' }],
        companies: ['A'],
        warehouses: ['A1'],
        rows: 3,
      },
    ],
    'POST /api/auth/login': [{ email: 'admin@aduana.local', password: 'wrong' }],
    'POST /api/jobs/{id}/approve': [{}, { basis: 'a'.repeat(64) }],
    'POST /api/jobs/{id}/undo': [{}, { unwind: true }],
  }
}
