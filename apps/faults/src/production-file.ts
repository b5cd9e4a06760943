/** The header of a file of `production`. */
export const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

/** A file of `production`: 300 good rows over three days, three bad ones and a duplicate; `tag` begins the lot of each row. */
export function sample(tag: string): string {
  const rows = Array.from({ length: 300 }, (_, index) =>
    [
      `2024-01-0${(index % 3) + 1}`,
      `M00${index % 7}`,
      `W000${index % 5}`,
      '1',
      'PVC',
      `${tag}${index}`,
      `${index}`,
      '1,5',
      '',
    ].join(';'),
  )
  const bad = ['2024-02-31', '2024-13-01', 'x'].map((day) => `${day};M001;W0001;1;PVC;${tag}bad;1;1;`)
  return `${[HEADER, ...rows, ...bad, rows[0]].join('\n')}\n`
}
