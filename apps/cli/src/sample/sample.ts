import { addDays, type Day, daysBetween } from '@aduana/contracts/dates'
import { dkt } from './dkt.ts'
import { orders } from './orders.ts'
import { production } from './production.ts'
import { createRandom } from './random.ts'
import type { Defect, Draw, ExpectedReason, Shape, WrittenDay } from './shape.ts'

/** The datasets that have samples. */
export const SAMPLES = { production, orders, dkt } as const satisfies Record<string, Shape>
export type SampleName = keyof typeof SAMPLES

const BAD_SHARE = 0.014
const DUPLICATE_SHARE = 0.006
const REMEMBERED = 256

export interface SampleOptions {
  dataset: SampleName
  /** Records. */
  rows: number
  /** The same seed gives the same bytes. */
  seed: number
  /** Only good records, none twice. */
  clean: boolean
  /** Days of the records, `to` not included. */
  from: Day
  to: Day
}

/** What a sample holds, and so what its import must come to. `records = good + rejected + duplicates + conflicts`. */
export interface SampleReport {
  dataset: SampleName
  seed: number
  from: Day
  to: Day
  records: number
  good: number
  rejected: number
  duplicates: number
  conflicts: number
  /** Bad records by what was done to them. */
  kinds: Record<string, number>
  /** Reasons that the importer must give, the most frequent first. A record may have several. */
  reasons: (ExpectedReason & { rejects: number })[]
}

/** A sample that is made line by line. */
export interface Sample {
  header: string
  /** The next record with its line end. Call it once for each of the `rows`. */
  next(): string
  /** What has been made so far. */
  report(): SampleReport
}

/** Two months of the past that belong to a seed. */
export function periodOfSeed(seed: number): { from: Day; to: Day } {
  const month = seed % 24
  return twoMonths(2023, month)
}

/** The two months from a month of a year on, which may be beyond its ends. */
export function twoMonths(year: number, month: number): { from: Day; to: Day } {
  const first = (offset: number) => new Date(Date.UTC(year, month + offset, 1)).toISOString().slice(0, 10)
  return { from: first(0), to: first(2) }
}

/** Starts a sample. */
export function createSample(options: SampleOptions): Sample {
  const shape: Shape = SAMPLES[options.dataset]
  const random = createRandom(options.seed)
  const draw: Draw = { random, days: writtenDays(options.from, options.to) }
  const cycle = defectCycle(shape.defects, random.below)
  const tally = new Map<Defect, number>()
  const recent: string[][] = []
  let [records, good, rejected, duplicates, conflicts] = [0, 0, 0, 0, 0]
  const keep = (cells: string[]) => {
    recent[good % REMEMBERED] = cells
    good += 1
    return cells.join(shape.delimiter)
  }
  const bad = () => {
    const defect = cycle[rejected % cycle.length]
    if (!defect) throw new Error(`the sample of ${options.dataset} has no defects`)
    rejected += 1
    tally.set(defect, (tally.get(defect) ?? 0) + 1)
    return defect.spoil(shape.good(records, draw), random)
  }
  const twice = () => {
    const first = random.pick(recent)
    const cells = shape.again(first, draw)
    if (!shape.versioned && cells.some((cell, index) => cell !== first[index])) conflicts += 1
    else duplicates += 1
    return cells.join(shape.delimiter)
  }
  const line = () => {
    if (options.clean) return keep(shape.good(records, draw))
    if (records === options.rows - 1) return keep(shape.last(records, draw))
    const fate = random.next()
    if (fate < BAD_SHARE) return bad()
    if (fate < BAD_SHARE + DUPLICATE_SHARE && recent.length > 0) return twice()
    return keep(shape.good(records, draw))
  }
  return {
    header: `${shape.header.join(shape.delimiter)}\n`,
    next: () => {
      const text = line()
      records += 1
      return `${text}\n`
    },
    report: () => {
      const { dataset, seed, from, to } = options
      return { dataset, seed, from, to, records, good, rejected, duplicates, conflicts, ...tallied(tally) }
    },
  }
}

/** Returns every kind as often as its weight, in a mixed order that repeats. */
function defectCycle(defects: readonly Defect[], below: (limit: number) => number): Defect[] {
  const cycle = defects.flatMap((defect) => Array.from({ length: defect.weight }, () => defect))
  for (let i = cycle.length - 1; i > 0; i--) {
    const j = below(i + 1)
    const [a, b] = [cycle[i], cycle[j]]
    if (a && b) [cycle[i], cycle[j]] = [b, a]
  }
  return cycle
}

function writtenDays(from: Day, to: Day): WrittenDay[] {
  return Array.from({ length: daysBetween(from, to) }, (_, offset) => {
    const iso = addDays(from, offset)
    const [year, month, day] = iso.split('-')
    return { iso, slashes: `${day}/${month}/${year}`, dashes: `${day}-${month}-${year}` }
  })
}

function tallied(tally: ReadonlyMap<Defect, number>): Pick<SampleReport, 'kinds' | 'reasons'> {
  const reasons = new Map<string, ExpectedReason & { rejects: number }>()
  for (const [defect, count] of tally)
    for (const { column, code } of defect.reasons) {
      const key = `${column} ${code}`
      reasons.set(key, { column, code, rejects: (reasons.get(key)?.rejects ?? 0) + count })
    }
  return {
    kinds: Object.fromEntries([...tally].map(([defect, count]) => [defect.kind, count])),
    reasons: [...reasons.values()].sort((a, b) => b.rejects - a.rejects),
  }
}
