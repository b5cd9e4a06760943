import { randomUUID } from 'node:crypto'

/** The header line of a production file. */
export const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

/** A small production file that no other test has sent. */
export function productionFile(rows = 3): string {
  const lote = randomUUID().slice(0, 8)
  const lines = Array.from(
    { length: rows },
    (_, row) => `2026-03-02;M001;W0001;1;steel;${lote}-${row};3;1,500;`,
  )
  return `${[HEADER, ...lines].join('\n')}\n`
}

/** The form of an import. Fields come before the file; what is undefined is left out. */
export function importForm(
  file: string | Uint8Array<ArrayBuffer> | undefined,
  fields: Record<string, string> = { dataset: 'production' },
  fileName = 'production.csv',
): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  if (file !== undefined) form.append('file', new Blob([file]), fileName)
  return form
}

/** The same form as raw text, to be sent in pieces or cut short. */
export function rawForm(boundary: string, file: string, end: boolean): string {
  return [
    `--${boundary}\r\nContent-Disposition: form-data; name="dataset"\r\n\r\nproduction\r\n`,
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n`,
    `Content-Type: text/csv\r\n\r\n${file}${end ? `\r\n--${boundary}--\r\n` : ''}`,
  ].join('')
}
