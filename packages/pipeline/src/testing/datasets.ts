import { DatasetDefinition } from '@aduana/contracts/dataset-definition'

/** Stock counts; each company replaces its own days. */
export const stock = DatasetDefinition.parse({
  code: 'stock',
  title: { en: 'Stock', es: 'Existencias' },
  table: { name: 'stock_count' },
  columns: [
    { name: 'day', type: 'date', required: true },
    { name: 'company', type: 'text', required: true },
    { name: 'item', type: 'text', required: true },
    { name: 'pieces', type: 'integer', min: 0 },
  ],
  unique: { columns: ['day', 'company', 'item'] },
  loadMode: 'replace-window',
  windowColumn: 'day',
  scope: { company: 'company' },
  replaceScope: 'company',
  maxRejectRatio: 1,
})

/** The same table; a day is replaced as a whole, as far as its uploader has access. */
export const stockByDay = DatasetDefinition.parse({
  ...stock,
  code: 'stock_by_day',
  replaceScope: undefined,
  approval: { above: { rows: 2 } },
})

/** The same table; files are appended. */
export const stockAppended = DatasetDefinition.parse({
  ...stock,
  code: 'stock_appended',
  replaceScope: undefined,
  loadMode: 'append',
})

/** Contracts, merged by their number; a version is optional, and days are in Bogotá's time zone. */
export const contracts = DatasetDefinition.parse({
  code: 'contracts',
  title: { en: 'Contracts', es: 'Contratos' },
  table: { name: 'contract' },
  columns: [
    { name: 'number', type: 'text', required: true },
    {
      name: 'signed',
      type: 'timestamp',
      required: true,
      timeZone: 'America/Bogota',
      formats: ['YYYY-MM-DD HH:MM:SS'],
    },
    { name: 'amount', type: 'decimal', precision: 12, scale: 2 },
    { name: 'company', type: 'text' },
    { name: 'changed', type: 'timestamp', formats: ['YYYY-MM-DD HH:MM:SS'] },
  ],
  loadMode: 'upsert',
  key: ['number'],
  versionColumn: 'changed',
  windowColumn: 'signed',
  scope: { company: 'company' },
  maxRejectRatio: 1,
})

/** DDL of the tables of these datasets. */
export const TABLES = `
  create table stock_count (id bigint primary key, "day" date not null, company text not null, item text not null,
    pieces integer);
  create index on stock_count ("day");
  create table contract (id bigint primary key, number text not null unique, signed timestamptz not null,
    amount numeric(12, 2), company text, changed timestamptz, import_no integer not null, record bigint not null,
    row_hash text not null);
  create index on contract (signed);`

/** Returns a stock file; each row is `day,company,item,pieces`. */
export function stockFile(...rows: readonly string[]): string {
  return `day,company,item,pieces\n${rows.join('\n')}\n`
}

/** Returns a contracts file; each row is `number,signed,amount,company,changed`. */
export function contractsFile(...rows: readonly string[]): string {
  return `number,signed,amount,company,changed\n${rows.join('\n')}\n`
}

/** Returns a production file; each row is `day,lot`, with all other cells equal. */
export function productionFile(...rows: readonly string[]): string {
  const lines = rows.map((row) => {
    const [day = '', lot = ''] = row.split(',')
    return `${day};M001;W0001;1;${lot};1;1`
  })
  return `fecha;maquina;maquinista;turno;lote;cantidad;peso\n${lines.join('\n')}\n`
}
