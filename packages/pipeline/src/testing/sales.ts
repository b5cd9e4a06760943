import { DatasetDefinition, type DatasetDefinitionInput } from '@aduana/contracts/dataset-definition'
import type { Principal } from '@aduana/contracts/identity'
import type { Job } from '@aduana/contracts/jobs'
import { registerDatasets } from '@aduana/datasets/registry'
import { orders } from '@aduana/datasets/shipped/orders'
import { createInProcessSystem, type InProcessSystem } from './in-process-system.ts'

const SALES: DatasetDefinitionInput = {
  code: 'sales',
  title: { en: 'Sales', es: 'Ventas' },
  table: { name: 'sale' },
  columns: [
    { name: 'day', type: 'date', required: true },
    { name: 'company', type: 'text', required: true },
    { name: 'warehouse', type: 'text' },
    { name: 'item', type: 'text', required: true },
    {
      name: 'machine',
      type: 'text',
      maxLength: 20,
      dimension: { table: 'dim_maquina', key: 'codigo', idColumn: 'maquina_id', onMissing: 'create' },
    },
    { name: 'pieces', type: 'integer' },
    { name: 'amount', type: 'decimal', precision: 12, scale: 2 },
  ],
  unique: { columns: ['day', 'company', 'item'] },
  loadMode: 'replace-window',
  windowColumn: 'day',
  scope: { company: 'company', warehouse: 'warehouse' },
  maxRejectRatio: 1,
}

/** Sales of all companies: a day is replaced as a whole, within the scope of its uploader. */
const sales = DatasetDefinition.parse(SALES)
/** The same table; every company replaces its own days. */
const salesByCompany = DatasetDefinition.parse({
  ...SALES,
  code: 'sales_by_company',
  replaceScope: 'company',
})
/** The same table with a threshold. */
const guardedSales = DatasetDefinition.parse({
  ...SALES,
  code: 'guarded_sales',
  approval: { above: { rows: 2, share: 0.5 } },
})
/** The shipped table of orders with a threshold. */
const guardedOrders = DatasetDefinition.parse({
  ...orders,
  code: 'guarded_orders',
  approval: { above: { share: 0.5 } },
})

const TABLE = `
  create table sale (id bigint primary key, "day" date not null, company text not null, warehouse text, item text not null,
    maquina_id bigint, pieces integer, amount numeric(12, 2));
  create index on sale ("day");`

/** An operator of the company Andina and two of its warehouses. */
export const ANDINA = { companies: ['Andina'], warehouses: ['W1', 'W2'] } satisfies Partial<Principal>

/** Creates an installation with the datasets of this file. */
export async function createSalesSystem(): Promise<InProcessSystem> {
  const system = await createInProcessSystem()
  await system.database.pool.query(TABLE)
  await registerDatasets(system.database.db, [sales, salesByCompany, guardedSales, guardedOrders])
  return system
}

/** Returns a file of sales; each row is `day,company,warehouse,item,machine,pieces,amount`. */
export function salesFile(...rows: readonly string[]): string {
  return `day,company,warehouse,item,machine,pieces,amount\n${rows.join('\n')}\n`
}

/** Imports as a user, and waits for the end. */
export async function importAs(
  system: InProcessSystem,
  as: Principal,
  content: string,
  form: { dataset: string } & Record<string, string>,
): Promise<Job> {
  return system.finished(await system.accept(content, { force: 'true', ...form }, as))
}

/** Returns the stored sales, in order. */
export async function storedSales(system: InProcessSystem): Promise<string[]> {
  const found = await system.database.pool.query(
    `select concat_ws(',', day, company, warehouse, item, pieces, amount) as row from sale order by day, company, item`,
  )
  return found.rows.map(({ row }: { row: string }) => row)
}
