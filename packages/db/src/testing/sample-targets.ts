import { AT, id, type SampleTable } from './sample-rows.ts'

function dimension(table: string): SampleTable {
  return {
    table,
    numbered: ['id'],
    optional: ['nombre', 'created_by_job'],
    row: (n) => ({ codigo: `M-${n}`, nombre: 'Prensa nº 1', created_at: AT, created_by_job: id('job', 1) }),
  }
}

/** The tables that imports load into; rows are those of January 2024. */
export const TARGETS: readonly SampleTable[] = [
  dimension('dim_maquina'),
  dimension('dim_maquinista'),
  {
    table: 'fact_production',
    numbered: [],
    optional: ['material', 'observacion'],
    row: (n) => ({
      id: String(4294967296n + BigInt(n)),
      fecha_contabilizacion: '2024-01-31',
      maquina_id: '1',
      maquinista_id: '1',
      turno: 3,
      material: 'PE-80',
      lote: 'L1',
      cantidad: 0,
      peso_neto: '123456789.125',
      observacion: 'á "b"; c',
    }),
  },
  {
    table: 'order_detail',
    numbered: [],
    optional: ['order_type', 'customer_id', 'items_count'],
    row: (n) => ({
      id: String(4294967296n + BigInt(n)),
      order_id: `O-${n}`,
      order_type: 'sale',
      timestamp: AT,
      customer_id: 'C1',
      items_count: 0,
      company: 'ACME',
      warehouse: 'north',
      source_modified_timestamp: AT,
      import_no: 1,
      record: '7',
      row_hash: 'abc',
      etl_loaded_at: AT,
    }),
  },
  {
    table: 'metric_result',
    numbered: [],
    optional: ['company', 'warehouse'],
    row: (n) => ({
      id: String(4294967296n + BigInt(n)),
      metric: 'sample.metric',
      date: '2024-01-01',
      company: 'ACME',
      warehouse: 'north',
      value: '-0.0000000000000001',
    }),
  },
  {
    table: 'resumen_tarjeta',
    numbered: [],
    optional: [
      ...['trabajador_nombre', 'turno', 'horas_ordinarias', 'horas_extra', 'horas_nocturnas'],
      ...['horas_festivas', 'observacion'],
    ],
    row: (n) => ({
      id: String(4294967296n + BigInt(n)),
      lote_id: id('batch', 1),
      fecha: '2024-01-31',
      trabajador_codigo: 'T1',
      trabajador_nombre: 'Núria',
      centro_costo: 'CC',
      turno: 1,
      horas_ordinarias: '8.00',
      horas_extra: '0.00',
      horas_nocturnas: '999.99',
      horas_festivas: '0.25',
      observacion: 'x',
      created_at: AT,
    }),
  },
]
