import { z } from 'zod'

/**
 * Example JSON bodies of operations for the page at /docs, by operation id. Each is valid, and harmless when it is sent by
 * mistake. Without an example the page generates values, such as random text for a pattern.
 */
const BODY_EXAMPLES: Readonly<Record<string, unknown>> = {
  login: { email: 'admin@aduana.local', password: 'your password' },
  changePassword: { current: 'your password', new: 'your new password' },
  approveJob: {},
  undoImport: { unwind: false },
  saveDataset: {
    title: { en: 'Visits', es: 'Visitas' },
    table: { name: 'visits' },
    loadMode: 'replace-window',
    windowColumn: 'day',
    columns: [
      { name: 'day', type: 'date', required: true, formats: ['YYYY-MM-DD'] },
      { name: 'shop', type: 'text', required: true, maxLength: 20 },
      { name: 'visitors', type: 'integer', min: 0 },
    ],
  },
  saveMetric: {
    title: { en: 'Orders', es: 'Pedidos' },
    expression: { type: 'aggregate', op: 'sum', series: 'orders.orders' },
  },
  saveSeries: { title: { en: 'Pieces', es: 'Piezas' }, dataset: 'production', column: 'cantidad' },
  recomputeMetric: { from: '2026-01-01', to: '2026-02-01' },
  tellProjection: {
    eventKey: 'orders-2026-01-31',
    dataset: 'orders',
    occurredAt: '2026-01-31T05:00:00Z',
    days: [{ from: '2026-01-31', to: '2026-02-01' }],
    rows: 120,
  },
}

/** Examples of required parameters of reading operations, by name. Others, such as ids, start empty. */
const PARAMETER_EXAMPLES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '/api/datasets/': { code: 'production' },
  '/api/metrics/': { code: 'production.pieces' },
  '/api/series/': { code: 'production.pieces' },
  '/api/jobs/': { name: 'rejects.ndjson' },
  '/api/data/': { metric: 'production.pieces' },
}

const Part = z.looseObject({ properties: z.record(z.string(), z.looseObject({})).optional() }).optional()
const Parts = z.looseObject({
  operationId: z.string().optional(),
  body: Part,
  params: Part,
  querystring: Part,
})

/** Adds the examples of an operation to the JSON Schemas of its parts. */
export function addExamples(schema: object, { method, url }: { method: string; url: string }): void {
  const { operationId = '', body, params, querystring } = Parts.parse(schema)
  const example = BODY_EXAMPLES[operationId]
  if (example !== undefined && body) Object.assign(schema, { body: { ...body, examples: [example] } })
  if (method !== 'GET') return
  const place = Object.keys(PARAMETER_EXAMPLES).find((prefix) => url.startsWith(prefix)) ?? ''
  for (const [name, value] of Object.entries(PARAMETER_EXAMPLES[place] ?? {}))
    for (const part of [params, querystring])
      if (part?.properties?.[name]) part.properties[name] = { ...part.properties[name], examples: [value] }
  Object.assign(schema, params && { params }, querystring && { querystring })
}
