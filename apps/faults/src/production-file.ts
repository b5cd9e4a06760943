/** The header of a file of `production`. */
export const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

/** A file of `production`: 300 good rows over three days, three bad ones and a duplicate; `tag` begins the lot of each row. */
export function sample(tag: string): string {
  const rows = production(tag, 300, 3)
  const bad = ['2024-02-31', '2024-13-01', 'x'].map((day) => `${day};M001;W0001;1;PVC;${tag}bad;1;1;`)
  return `${[HEADER, ...rows, ...bad, rows[0]].join('\n')}\n`
}

/** A file of `production` with that many good rows over all days of January 2024. */
export function month(tag: string, rows: number): string {
  return `${[HEADER, ...production(tag, rows, 31)].join('\n')}\n`
}

function production(tag: string, rows: number, days: number): string[] {
  return Array.from({ length: rows }, (_, index) => {
    const day = `2024-01-${String((index % days) + 1).padStart(2, '0')}`
    return `${day};M00${index % 7};W000${index % 5};1;PVC;${tag}${index};${index};1,5;`
  })
}

/** A file of `orders`: 300 orders, of which each call changes the version that `minute` stands for. */
export function orders(minute: number): string {
  const at = String(minute).padStart(2, '0')
  const rows = Array.from(
    { length: 300 },
    (_, index) =>
      `O${index};B2B;2024-01-0${(index % 3) + 1} 08:00;C${index % 9};${minute};ACME;W1;2024-02-01 10:${at}`,
  )
  return `${['order_id;order_type;timestamp;customer_id;items_count;company;warehouse;source_modified_timestamp', ...rows].join('\n')}\n`
}

/** A file of `production` of which half the records are bad: more than the dataset allows. */
export function hopeless(tag: string): string {
  const bad = Array.from({ length: 10 }, (_, index) => `2024-13-01;M001;W0001;1;PVC;${tag}bad${index};1;1;`)
  return `${[HEADER, ...production(tag, 10, 3), ...bad].join('\n')}\n`
}
