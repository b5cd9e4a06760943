import { JobStatus } from '@aduana/contracts/job-states'
import type { Database } from '@aduana/db/database'
import type { QueueDepth } from '@aduana/jobs/workers/worker-registry'
import { countRefusedMessages } from '@aduana/metrics/inbox/refused'
import { countOutstandingRuns } from '@aduana/metrics/read/completeness'
import { readOutboxStats } from '@aduana/outbox/stats'
import type { FastifyInstance } from 'fastify'
import { sql } from 'kysely'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Returns the registry with the telemetry of this process, of jobs, runs and messages. Reading it queries the database. */
export function registerPrometheus(app: FastifyInstance, db: Database): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const durations = new Histogram({
    name: 'aduana_http_request_seconds',
    help: 'Time from the arrival of a request to the end of its response',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [registry],
  })
  new Gauge({
    name: 'aduana_jobs',
    help: 'Jobs by status',
    labelNames: ['status'],
    registers: [registry],
    async collect() {
      for (const [status, count] of await countJobs(db)) this.set({ status }, count)
    },
  })
  new Gauge({
    name: 'aduana_metric_runs_outstanding',
    help: 'Metric runs whose days are not up to date, by status; FAILED and EXPIRED runs need attention',
    labelNames: ['status'],
    registers: [registry],
    async collect() {
      for (const [status, count] of await countOutstandingRuns(db)) this.set({ status }, count)
    },
  })
  addMessageGauges(registry, db)
  app.addHook('onResponse', async (request, reply) => {
    const route = request.is404 ? 'unknown' : (request.routeOptions.url ?? 'unknown')
    durations.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000)
  })
  app.addHook('onClose', async () => registry.clear())
  return registry
}

/** Adds gauges of the outbox and of refused messages. */
function addMessageGauges(registry: Registry, db: Database): void {
  const gauge = (name: string, help: string, read: () => Promise<number>) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        this.set(await read())
      },
    })
  gauge('aduana_outbox_waiting', 'Outbox events that have not been delivered', async () =>
    Number((await readOutboxStats(db)).waiting),
  )
  gauge('aduana_outbox_oldest_seconds', 'Age of the oldest undelivered outbox event', async () =>
    Number((await readOutboxStats(db)).seconds),
  )
  gauge('aduana_messages_refused', 'Stored queue messages that were refused permanently', () =>
    countRefusedMessages(db),
  )
}

/** Adds a gauge whose value is read at each scrape. */
export function addGauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read())
    },
  })
}

/** Adds gauges of the queue depth and the consumers of each stage. */
export function addQueueDepthGauges(registry: Registry, read: () => Promise<QueueDepth[]>): void {
  const gauge = (name: string, help: string, value: (depth: QueueDepth) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['stage'],
      registers: [registry],
      async collect() {
        for (const depth of await read()) this.set({ stage: depth.stage }, value(depth))
      },
    })
  gauge('aduana_queue_waiting', 'Jobs that wait for the stage', ({ waiting }) => waiting)
  gauge('aduana_queue_consumers', 'Workers that serve the stage', ({ consumers }) => consumers)
  gauge(
    'aduana_queue_oldest_waiting_seconds',
    'Waiting time of the oldest job that waits for the stage',
    ({ since }) => (since === null ? 0 : Math.max(0, (Date.now() - since.getTime()) / 1000)),
  )
}

async function countJobs(db: Database): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('jobs')
    .select(['status', sql<string>`count(*)`.as('jobs')])
    .groupBy('status')
    .execute()
  const counts = new Map<string, number>(JobStatus.options.map((status) => [status, 0]))
  for (const row of rows) counts.set(row.status, Number(row.jobs))
  return counts
}
