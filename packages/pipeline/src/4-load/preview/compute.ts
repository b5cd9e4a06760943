import {
  type DayChanges,
  hasChanges,
  type LoadPreview,
  type RowChanges,
} from '@aduana/contracts/load-preview'
import { matchedBy } from '@aduana/datasets/comparison'
import { selectMembers } from '@aduana/datasets/dimensions'
import { storedFigures, summedColumns, type TouchedDays } from '@aduana/datasets/stored-rows'
import type { Tx } from '@aduana/db/database'
import { interruptible } from '@aduana/db/interruptible'
import { inTransactionOnConnection } from '@aduana/db/single-connection'
import { sql } from 'kysely'
import type pg from 'pg'
import { z } from 'zod'
import { codesOf } from '../../reference-data.ts'
import type { StageJob } from '../../stage.ts'
import { type LoadPlan, plannedDays } from '../plan.ts'
import {
  type ComparedDay,
  type Comparison,
  compareWithAppended,
  compareWithKeys,
  compareWithReplaced,
} from './compare.ts'
import { type Computed, readBasis } from './stored-preview.ts'

const Stored = z.array(
  z.object({
    scope: z.string(),
    day: z.string().nullable(),
    rows: z.coerce.number().int(),
    sums: z.array(z.string()),
  }),
)
type Stored = z.infer<typeof Stored>

/**
 * Computes what a load would do, against one consistent snapshot of the database and without changing it. All numbers
 * count only rows of the job's companies and warehouses, because the load touches no others. Dimension members are not
 * created: rows are compared by code.
 * @throws RefusedError if the load would be refused
 */
export async function computePreview(job: StageJob, clean: string, plan: LoadPlan): Promise<Computed> {
  job.report({ fraction: 0.02, message: 'Comparing with the existing rows' })
  const newMembers = await findNewMembers(job, clean)
  return inTransactionOnConnection(job.context.pool, async (tx, client) => {
    await holdSnapshot(tx)
    return interruptible(client, { ...job.context, signal: job.signal }, async () => {
      const comparison = await compare(job, client, clean, plan)
      const touched = touchedDays(job, plan, comparison)
      const stored = Stored.parse(
        (await client.query(storedFigures(job.facts.definition, touched, job.facts))).rows,
      )
      const basis = await readBasis(tx, job, plan)
      return { basis, preview: { ...describe(job, comparison, stored), newMembers } }
    })
  })
}

/**
 * Makes all statements see one snapshot and return dates in ISO format. The engine may be busy with another import's
 * file between them.
 */
async function holdSnapshot(tx: Tx): Promise<void> {
  await sql`set transaction isolation level repeatable read`.execute(tx)
  await sql`select set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO', true),
    set_config('statement_timeout', '30min', true), set_config('idle_in_transaction_session_timeout', '10min', true)`.execute(
    tx,
  )
}

function compare(job: StageJob, client: pg.PoolClient, clean: string, plan: LoadPlan): Promise<Comparison> {
  const source = { clean, validated: plan.validated }
  switch (job.facts.mode) {
    case 'replace-window':
      return compareWithReplaced(job, client, source, plannedDays(plan))
    case 'upsert':
      return compareWithKeys(job, client, source)
    case 'append':
      return compareWithAppended(
        job,
        client,
        source,
        job.facts.definition.windowColumn === undefined ? ALL_ROWS : plannedDays(plan),
      )
  }
}

const ALL_ROWS: readonly TouchedDays[] = [{ scope: '', days: null }]

/** Returns the days whose rows and sums are shown. A replaced day without new rows is included. */
function touchedDays(job: StageJob, plan: LoadPlan, { days }: Comparison): TouchedDays[] {
  if (job.facts.definition.windowColumn === undefined) return [...ALL_ROWS]
  if (job.facts.mode !== 'upsert') return plannedDays(plan)
  const scopes = [...new Set(days.map(({ scope }) => scope))]
  return scopes.map((scope) => ({
    scope,
    days: days.filter((entry) => entry.scope === scope).flatMap(({ day }) => day ?? []),
  }))
}

function describe(job: StageJob, comparison: Comparison, stored: Stored): Omit<LoadPreview, 'newMembers'> {
  const { definition, mode } = job.facts
  const days = dayChanges(comparison.days, stored)
  const total = (pick: (day: DayChanges) => number) => days.reduce((sum, day) => sum + pick(day), 0)
  const totals: RowChanges = {
    inserted: total(({ inserted }) => inserted),
    changed: total(({ changed }) => changed),
    unchanged: total(({ unchanged }) => unchanged),
    removed: total(({ removed }) => removed),
  }
  const sums = summedColumns(definition).map(({ name }, index) => {
    const before = addDecimals(stored.map((row) => row.sums[index] ?? '0'))
    const minus = comparison.minus === undefined ? before : (comparison.minus[index] ?? '0')
    const after = addDecimals([before, comparison.plus[index] ?? '0', negated(minus)])
    return { column: name, ...sameScale(before, after) }
  })
  return {
    mode,
    matchedBy: mode === 'append' ? null : (matchedBy(definition) ?? null),
    totals,
    alreadyPresent: comparison.alreadyPresent ?? 0,
    sameVersion: comparison.sameVersion ?? { rows: 0, example: null },
    rows: { before: total(({ before }) => before), after: total(({ after }) => after) },
    days: mostTelling(days, definition.maxWindowDays),
    daysLeftOut: Math.max(0, days.length - definition.maxWindowDays),
    sums,
  }
}

/** Returns at most `most` of the days, in order. Omits unchanged days first. */
function mostTelling(days: readonly DayChanges[], most: number): DayChanges[] {
  let others = Math.max(0, most - days.filter(hasChanges).length)
  return days
    .filter((day) => {
      if (hasChanges(day)) return true
      others -= 1
      return others >= 0
    })
    .slice(0, most)
}

function sameScale(before: string, after: string): { before: string; after: string } {
  const zero = (other: string) => other.replace(/\d/g, '0').replace('-', '')
  return { before: addDecimals([before, zero(after)]), after: addDecimals([after, zero(before)]) }
}

const EMPTY = { inserted: 0, changed: 0, unchanged: 0, removed: 0, delta: 0 }

/** Returns the days in order, without those that have rows neither before nor after. */
function dayChanges(compared: readonly ComparedDay[], stored: Stored): DayChanges[] {
  const key = (entry: { scope: string; day: string | null }) => JSON.stringify([entry.day, entry.scope])
  const before = new Map(stored.map((row) => [key(row), row]))
  const changes = new Map(compared.map((row) => [key(row), row]))
  return [...new Set([...before.keys(), ...changes.keys()])].sort().flatMap((at): DayChanges[] => {
    const { delta, ...found } = changes.get(at) ?? EMPTY
    const rows = before.get(at)?.rows ?? 0
    const { scope, day } = changes.get(at) ?? before.get(at) ?? { scope: '', day: null }
    const { inserted, changed, unchanged, removed } = found
    return [{ scope, day, inserted, changed, unchanged, removed, before: rows, after: rows + delta }]
  })
}

const Codes = z.array(z.object({ code: z.string() }))
const SHOWN_CODES = 20

/** Returns the codes of the clean file that no dimension has. */
async function findNewMembers(job: StageJob, clean: string): Promise<LoadPreview['newMembers']> {
  const members: LoadPreview['newMembers'] = []
  for (const { column, dimension, codes } of await codesOf(job, clean)) {
    const known = await job.context.pool.query(selectMembers(dimension, codes))
    const there = new Set(Codes.parse(known.rows).map(({ code }) => code))
    const missing = codes.filter((code) => !there.has(code))
    if (missing.length > 0)
      members.push({ column, codes: missing.length, examples: missing.slice(0, SHOWN_CODES) })
  }
  return members
}

/** An exact decimal: `digits / 10^scale`. */
interface Decimal {
  digits: bigint
  scale: number
}

/** Returns the exact sum of decimal numbers given as texts (`-12.50`), with as many decimals as the longest of them. */
export function addDecimals(numbers: readonly string[]): string {
  const parsed = numbers.map(parse)
  const scale = Math.max(0, ...parsed.map((number) => number.scale))
  const sum = parsed.reduce(
    (total, number) => total + number.digits * 10n ** BigInt(scale - number.scale),
    0n,
  )
  return render({ digits: sum, scale })
}

/** Returns the negative of a decimal number given as text. */
export function negated(number: string): string {
  const { digits, scale } = parse(number)
  return render({ digits: -digits, scale })
}

function parse(text: string): Decimal {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? []
  if (whole === '') throw new Error(`"${text}" is not a decimal number`)
  return { digits: BigInt(`${sign}${whole}${fraction}`), scale: fraction.length }
}

function render({ digits, scale }: Decimal): string {
  const sign = digits < 0n ? '-' : ''
  const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0')
  return scale === 0 ? `${sign}${text}` : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`
}
