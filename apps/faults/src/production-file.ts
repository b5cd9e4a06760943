/** The header of a file of `production`. */
export const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

/** Returns a file of `production`: 300 valid rows over three days, three invalid ones and a duplicate. The lot of each row begins with `tag`. */
export function sample(tag: string): string {
  const rows = production(tag, 300, 3)
  const bad = ['2024-02-31', '2024-13-01', 'x'].map((day) => `${day};M001;W0001;1;PVC;${tag}bad;1;1;`)
  return `${[HEADER, ...rows, ...bad, rows[0]].join('\n')}\n`
}

/** Returns a file of `production` with `rows` valid rows over all days of January 2024. */
export function month(tag: string, rows: number): string {
  return `${[HEADER, ...production(tag, rows, 31)].join('\n')}\n`
}

function production(tag: string, rows: number, days: number): string[] {
  return Array.from({ length: rows }, (_, index) => {
    const day = `2024-01-${String((index % days) + 1).padStart(2, '0')}`
    return `${day};M00${index % 7};W000${index % 5};1;PVC;${tag}${index};${index};1,5;`
  })
}

/** Returns a file of the same 300 orders in the version `minute`. */
export function orders(minute: number): string {
  const at = String(minute).padStart(2, '0')
  const rows = Array.from(
    { length: 300 },
    (_, index) =>
      `O${index};B2B;2024-01-0${(index % 3) + 1} 08:00;C${index % 9};${minute};ACME;W1;2024-02-01 10:${at}`,
  )
  return `${['order_id;order_type;timestamp;customer_id;items_count;company;warehouse;source_modified_timestamp', ...rows].join('\n')}\n`
}

/** Returns a file of `production` with more rejects than the dataset allows: half of its records. */
export function tooManyRejects(tag: string): string {
  const bad = Array.from({ length: 10 }, (_, index) => `2024-13-01;M001;W0001;1;PVC;${tag}bad${index};1;1;`)
  return `${[HEADER, ...production(tag, 10, 3), ...bad].join('\n')}\n`
}
