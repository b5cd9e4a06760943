// Measures what files that are made to do harm cost: how long each is at work, the most bytes of scratch space meanwhile,
// the bytes that are kept of it (artifacts, and rejects in the database), and what small imports take beside it.
//
//   node bench/bombs.mjs [small imports beside each=4]
//
// Needs a built tree (npm run build).
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { fileOfDay } from './admissions.mjs'
import { givenNumbers } from './figures.mjs'
import { onServices } from './services.mjs'

const [BESIDE = 4] = givenNumbers()
const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion\n'
const good = (n) => `2024-05-01;M001;W0001;1;PVC;L${n};1;1;\n`
const lines = (count, line) => HEADER + Array.from({ length: count }, (_, n) => line(n)).join('')
const kb = (bytes) => `${Math.round(Number(bytes) / 1000).toLocaleString('en')} kB`
const packed = (text) => gzipSync(text, { level: 9 })

const BOMBS = {
  '1,000,000 bad lines of 10 bytes, gzip': () => packed(lines(1_000_000, () => 'bad line x\n')),
  '1,000,000 bad lines that differ, gzip': () => packed(lines(1_000_000, (n) => `bad ${n}\n`)),
  '2,000,000 bad lines of one byte': () => lines(2_000_000, () => 'x\n'),
  '400,000 lines of empty cells, gzip': () => packed(lines(400_000, () => ';;;;;;;;\n')),
  '300,000 bad of 1,500,000, gzip': () => packed(lines(1_500_000, (n) => (n % 5 ? good(n) : 'bad\n'))),
  '1,000,000 duplicates, gzip': () => packed(lines(1_000_000, (n) => good(n % 7))),
  '1,000,000 delimiters in one line': () => `${HEADER}${';'.repeat(1_000_000)}\n`,
  'a header of 100,000 columns': () =>
    `${Array.from({ length: 100_000 }, (_, n) => `c${n}`).join(';')}\n${good(1)}`,
  'gzip of gzip': () => packed(packed(lines(100_000, good))),
  '100,000 members of gzip': () => {
    const member = gzipSync(good(1))
    return Buffer.concat([gzipSync(HEADER), ...Array.from({ length: 100_000 }, () => member)])
  },
  '500,000 quotes that are never closed': () => lines(500_000, () => '"a;b\n'),
  'one cell of 200 MB, gzip': () => packed(`${HEADER}2024-05-01;${'a'.repeat(200_000_000)}\n`),
}

await onServices(async ({ addSystem }) => {
  const system = await addSystem()
  await system.startWorker()
  let days = 0
  // All declare their days. Otherwise an import waits until the days of earlier imports are known.
  const day = (offset) => new Date(Date.UTC(2005, 0, days + offset)).toISOString().slice(0, 10)
  const beside = async () => {
    const began = performance.now()
    days += 1
    const window = { from: day(0), to: day(1) }
    const job = await system.import(fileOfDay(window.from, 20), { dataset: 'production', ...window })
    if (job.status !== 'COMPLETED') throw new Error(`a small import ended as ${job.status}`)
    return Math.round(performance.now() - began)
  }
  for (let n = 0; n < 5; n += 1) await beside()
  console.log(`a small import alone: ${await beside()} ms`)
  for (const [name, make] of Object.entries(BOMBS)) {
    const content = make()
    const watch = watchWork(join(system.dataDir, 'work'))
    const began = performance.now()
    const id = await system.accept(content, { dataset: 'production', from: '2024-05-01', to: '2024-05-02' })
    const others = Promise.all(
      Array.from({ length: BESIDE }, async (_, n) => {
        await new Promise((done) => setTimeout(done, 100 * n))
        return beside()
      }),
    )
    const job = await system.finished(id, 600_000)
    const seconds = (performance.now() - began) / 1000
    const slowest = Math.max(...(await others))
    const kept = await keptBytes(system, id)
    console.log(
      [
        name.padEnd(38),
        `${kb(Buffer.byteLength(content))} sent`,
        `${job.status} ${job.error?.code ?? ''}`.padEnd(26),
        `${seconds.toFixed(1)} s`,
        `work ${kb(await watch.stop())}`,
        `files ${kb(kept.files)}`,
        `rejects ${kept.rows} rows ${kb(kept.rowBytes)}`,
        `small beside ${slowest} ms`,
      ].join('  '),
    )
  }
})

/** Measures the size of a folder every 20 ms. */
function watchWork(folder) {
  let most = 0
  let stopped = false
  const looking = (async () => {
    while (!stopped) {
      most = Math.max(most, await sizeOf(folder))
      await new Promise((done) => setTimeout(done, 20))
    }
    return most
  })()
  return {
    stop: () => {
      stopped = true
      return looking
    },
  }
}

async function sizeOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        stat(join(entry.parentPath, entry.name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** What an import leaves behind, without its original. */
async function keptBytes(system, id) {
  const { rows } = await system.database.pool.query(
    `select (select coalesce(sum(bytes), 0) from artifacts where job_id = $1 and name <> 'original') as files,
       count(*) as rows, coalesce(sum(pg_column_size(q.*)), 0) as "rowBytes" from quarantined_records q where job_id = $1`,
    [id],
  )
  return rows[0]
}
