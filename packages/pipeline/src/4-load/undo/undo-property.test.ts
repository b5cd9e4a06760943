import type { Job } from '@aduana/contracts/jobs'
import { UndoResult } from '@aduana/contracts/undo'
import { LONG } from '@aduana/testkit/long'
import { createRandom, type Random } from '@aduana/testkit/random'
import { addUndoDatasets, stateOf, undone } from '@aduana/testkit/undo'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInProcessSystem, type InProcessSystem } from '../../testing/in-process-system.ts'

let system: InProcessSystem
beforeAll(async () => {
  system = await createInProcessSystem()
  await addUndoDatasets(system)
})
afterAll(() => system.close())

const SEED = Number(process.env.UNDO_SEED ?? 20_240_117)
const STEPS = Number(process.env.UNDO_STEPS ?? (LONG ? 12 : 3))

/** A dataset, its table, and a function that returns files for it, some of them with a bad record. */
interface Kind {
  dataset: string
  table: string
  file: (random: Random) => { content: string; form?: Record<string, string> }
}

const day = (n: number) => `2024-03-${String(n + 1).padStart(2, '0')}`
const times = (n: number, line: (index: number) => string) =>
  Array.from({ length: n }, (_, index) => line(index))
/** At most one bad record per file, because more would fail the import. */
const bad = (random: Random, index: number) => index === 3 && random.below(2) === 0

const KINDS: Kind[] = [
  {
    dataset: 'production',
    table: 'fact_production',
    file: (random) => {
      const [first, span] = [random.below(6), 1 + random.below(4)]
      const lines = times(8 + random.below(30), (index) =>
        [
          day(first + random.below(span)),
          `M00${1 + random.below(9)}`,
          'W0001',
          bad(random, index) ? 9 : 1,
          `L${index}`,
          random.below(1000),
          '1.5',
        ].join(','),
      )
      const declared = random.below(3) === 0 ? { from: day(first), to: day(first + span) } : {}
      return {
        content: `fecha,maquina,maquinista,turno,lote,cantidad,peso\n${lines.join('\n')}\n`,
        form: { ...declared, mode: random.below(3) === 0 ? 'append' : 'replace-window' },
      }
    },
  },
  {
    dataset: 'stock',
    table: 'stock_count',
    file: (random) => {
      const lines = times(5 + random.below(25), (index) =>
        [
          day(random.below(6)),
          ['North', 'South', `O'Hara "&" Söhne`][random.below(3)]
            ?.replaceAll('"', '""')
            .replace(/^(.*[",].*)$/, '"$1"'),
          `I${index}`,
          bad(random, index) ? 'x' : random.below(3) === 0 ? '' : random.below(99),
          ['', 'plain', '"two\nlines, and a comma"'][random.below(3)],
        ].join(','),
      )
      return { content: `day,company,item,pieces,remark\n${lines.join('\n')}\n` }
    },
  },
  {
    dataset: 'contracts',
    table: 'contract',
    file: (random) => {
      const keys = [...new Set(times(5 + random.below(15), () => String(random.below(25))))]
      const lines = keys.map((key, index) =>
        [
          `K${key}`,
          day(random.below(8)),
          bad(random, index) ? 'x' : `${random.below(50)}.50`,
          `2024-05-${10 + random.below(15)} 10:00:00`,
        ].join(','),
      )
      return { content: `number,day,amount,changed\n${lines.join('\n')}\n` }
    },
  },
  {
    dataset: 'dkt',
    table: 'resumen_tarjeta',
    file: (random) => {
      const lines = times(6 + random.below(20), (index) =>
        [day(random.below(5)), `T${index}`, 'CC1', 1, bad(random, index) ? 30 : 1 + random.below(12), 0].join(
          ',',
        ),
      )
      return {
        content: `fecha,trabajador_codigo,centro_costo,turno,horas_ordinarias,horas_extra\n${lines.join('\n')}\n`,
      }
    },
  },
]

interface Imported {
  id: string
  /** The state of the dataset before it. */
  before: string
}

/** Returns the rows of a table as text, by id. */
async function rowsOf(table: string): Promise<Map<string, string>> {
  const { rows } = await system.database.pool.query(`select id::text as id, t::text as row from ${table} t`)
  return new Map(rows.map(({ id, row }) => [id, row]))
}

/** Undoes an import and checks that the counts of the undo match the difference between the rows before and after it. */
async function undoneTruly(table: string, id: string, seed: number, unwind = false): Promise<Job> {
  const before = await rowsOf(table)
  const job = await undone(system, id, { unwind })
  expect(job.error, `seed ${seed}`).toBeNull()
  const after = await rowsOf(table)
  const { reversed } = UndoResult.parse(job.result)
  expect(reversed, `${table}, seed ${seed}`).toMatchObject({
    deleted: [...before.keys()].filter((row) => !after.has(row)).length,
    restored: [...after].filter(([row, text]) => before.get(row) !== text).length,
  })
  return job
}

/** Imports and undoes in a random order. After every undo the state must be that before the undone import. */
async function story(
  { dataset, table, file }: Kind,
  seed: number,
): Promise<{ undos: number; unwound: number }> {
  const random = createRandom(seed)
  const standing: Imported[] = []
  const told = { undos: 0, unwound: 0 }
  const bringOne = async () => {
    const before = await stateOf(system, dataset, table)
    const { content, form = {} } = file(random)
    const job = await system.finished(
      await system.accept(content, { dataset, force: 'true', ...form }),
      60_000,
    )
    if (job.status !== 'COMPLETED') throw new Error(`${dataset}: ${job.error?.detail}`)
    standing.push({ id: job.id, before })
  }
  const undoNewest = async () => {
    const newest = standing.pop()
    if (!newest) return
    await undoneTruly(table, newest.id, seed)
    expect(await stateOf(system, dataset, table), `${dataset}, seed ${seed}`).toBe(newest.before)
    told.undos += 1
  }
  /** Undoes a random import with all later ones that depend on it, then the remaining later ones. */
  const unwindTo = async (index: number) => {
    const target = standing[index]
    if (!target) return
    const job = await undoneTruly(table, target.id, seed, true)
    const { imports } = UndoResult.parse(job.result)
    const rest = standing.slice(index).filter(({ id }) => !imports.includes(id))
    for (const { id } of rest.reverse()) await undoneTruly(table, id, seed)
    standing.length = index
    expect(await stateOf(system, dataset, table), `${dataset}, seed ${seed}`).toBe(target.before)
    told.unwound += imports.length
  }
  for (let step = 0; step < STEPS; step += 1) {
    for (let n = 1 + random.below(3); n > 0; n -= 1) await bringOne()
    if (random.below(2) === 0) for (let n = 1 + random.below(2); n > 0; n -= 1) await undoNewest()
    else await unwindTo(random.below(standing.length))
  }
  while (standing.length > 0) await undoNewest()
  expect(await stateOf(system, dataset, table)).toBe('\n--\n\n--\n')
  return told
}

describe.concurrent('imports and undos in a random order', { timeout: 240_000 }, () => {
  test.for(KINDS.map((kind, index) => [kind.dataset, kind, SEED + 7 * index] as const))(
    'return the rows, owners and rejects of %s to their earlier state with each undo',
    async ([, kind, seed], { expect: its }) => {
      const told = await story(kind, seed)
      its(told.undos).toBeGreaterThan(0)
      its(told.unwound).toBeGreaterThan(0)
    },
  )
})
