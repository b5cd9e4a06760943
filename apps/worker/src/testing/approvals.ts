import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Principal } from '@aduana/contracts/identity'
import type { Job } from '@aduana/contracts/jobs'
import type { JobPreview } from '@aduana/contracts/load-preview'
import { registerDatasets } from '@aduana/datasets/registry'
import { orders } from '@aduana/datasets/shipped/orders'
import { production } from '@aduana/datasets/shipped/production'
import { approveJob, readPreview } from '@aduana/jobs/lifecycle/approve'
import { readJob } from '@aduana/jobs/read/jobs'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

/** Returns a file with a day of production; the lots are numbered. */
export function day(date: string, cantidades: readonly number[]): string {
  const rows = cantidades.map((cantidad, lot) => `${date};M001;W0001;1;PVC;L${lot};${cantidad};1,5;`)
  return `${HEADER}\n${rows.join('\n')}\n`
}

/** Returns a file with one order. */
export function order(id: string, items: number, date: string, modified: string): string {
  return `order_id,order_type,timestamp,customer_id,items_count,company,warehouse,source_modified_timestamp\n${id},sale,${date} 10:00:00,,${items},North,W1,${modified}\n`
}

// The shipped tables under other names, with thresholds, because a starting worker registers the shipped datasets again.
const guarded = DatasetDefinition.parse({
  ...production,
  code: 'guarded',
  approval: { above: { rows: 100, share: 0.25 } },
})
const guardedOrders = DatasetDefinition.parse({ ...orders, code: 'guarded_orders' })

/** Starts an installation with datasets that have thresholds. */
export async function openSystem(): Promise<TestSystem> {
  const system = await createTestSystem()
  await registerDatasets(system.database.db, [guarded, guardedOrders])
  return system
}

/** Waits until a job waits for approval. */
export function waiting(system: TestSystem, id: string): Promise<Job> {
  return until(
    async () => {
      const job = await readJob(system.database.db, system.admin, id)
      if (job.completedAt !== null)
        throw new Error(`the job did not wait: ${job.status} ${JSON.stringify(job.error)}`)
      return job.waitingFor === 'approval' ? job : undefined
    },
    { within: 120_000, what: `job ${id} waits for approval` },
  )
}

/** Approves a waiting job. */
export function approve(
  system: TestSystem,
  id: string,
  as: Principal = system.admin,
  basis?: string,
): Promise<Job> {
  return approveJob(system.database.db, as, id, basis === undefined ? {} : { basis })
}

/** Returns the preview of a job. */
export function preview(system: TestSystem, id: string, as: Principal = system.admin): Promise<JobPreview> {
  return readPreview(system.database.db, as, id)
}

/** Returns the values of the rows of a day. */
export async function cantidades(system: TestSystem, date: string): Promise<number[]> {
  const rows = await system.database.pool.query(
    'select cantidad from fact_production where fecha_contabilizacion = $1 order by lote',
    [date],
  )
  return rows.rows.map((row: { cantidad: number }) => row.cantidad)
}

/** Returns the events of an approval, in order. */
export async function events(system: TestSystem, id: string): Promise<string[]> {
  const rows = await system.database.pool.query(
    `select body from event_log where job_id = $1 and type in ('job.waiting', 'job.approved', 'job.approval-lapsed') order by id`,
    [id],
  )
  return rows.rows.map((row: { body: { type: string } }) => row.body.type)
}

/** Returns how many windows a job holds or waits for. */
export async function held(system: TestSystem, id: string): Promise<number> {
  const rows = await system.database.pool.query(
    `select (select count(*) from window_locks where job_id = $1) + (select count(*) from window_leases where job_id = $1)
      + (select count(*) from window_waiters where job_id = $1) as n`,
    [id],
  )
  return Number(rows.rows[0]?.n)
}
