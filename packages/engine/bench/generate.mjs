// Writes a delimited file of about 98 bytes a row: node bench/generate.mjs <rows> <path>
import { closeSync, openSync, writeSync } from 'node:fs'

const rows = Number(process.argv[2] ?? 2_000_000)
const path = process.argv[3] ?? '/tmp/aduana-bench.csv'
const file = openSync(path, 'w')
let seed = 1
const random = (below) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor((seed / 2 ** 32) * below)
}
const pad = (value, width) => String(value).padStart(width, '0')
const notes = [
  '',
  'sin novedad en la máquina',
  '"revisión; pendiente de turno"',
  'cambio de bobina',
  'paro de línea',
]
const materials = [
  'polipropileno alta',
  'polietileno baja',
  'algodón peinado',
  'resina técnica',
  'fibra de vidrio',
]
writeSync(
  file,
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion\n',
)
let part = ''
for (let i = 0; i < rows; i++) {
  const day = random(365)
  part += `2025-${pad(1 + Math.floor(day / 31), 2)}-${pad(1 + (day % 28), 2)};M${pad(random(200), 3)};W${pad(random(900), 4)};${1 + random(3)};${materials[random(5)]};LOTE-${pad(i, 9)}-${pad(random(1e6), 6)};${random(100000)};${random(10000)},${pad(random(1000), 3)};${notes[random(5)]}\n`
  if (part.length > 1 << 20) {
    writeSync(file, part)
    part = ''
  }
}
writeSync(file, part)
closeSync(file)
