import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Day } from '@aduana/contracts/dates'
import { readCatalogue } from '@aduana/datasets/catalogue'
import { compareReplaced, compareUpserted, sumsOfClean } from '@aduana/datasets/comparison'
import type { NamedStatement } from '@aduana/datasets/statement'
import {
  copyStored,
  copyStoredByKey,
  createKeys,
  KEYS_TABLE,
  keysFile,
  summedColumns,
  type TouchedDays,
} from '@aduana/datasets/stored-rows'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { z } from 'zod'
import { zonesOf } from '../../reference-data.ts'
import { engineFor, type StageJob } from '../../stage.ts'
import type { ValidateOutput } from '../../stage-outputs.ts'
import { copyToFile } from '../copy-rows.ts'
import { assertForeignKeys } from '../existing-rows.ts'

const Figure = z.coerce.number().int()

const DayRow = z.object({
  scope: z.string(),
  day: Day.nullable(),
  inserted: Figure,
  changed: Figure,
  unchanged: Figure,
  removed: Figure,
  delta: Figure,
})

/** What happens to the rows of one day and scope; `delta` is the change of the number of rows of the day. */
export type ComparedDay = z.infer<typeof DayRow>

/** The rows added and removed. Sums are decimal texts in the order of `summedColumns`. */
export interface Comparison {
  days: ComparedDay[]
  plus: string[]
  /** Undefined if all existing rows are removed. */
  minus: string[] | undefined
  /** For an append: how many of its rows equal existing rows. */
  alreadyPresent?: number
  /** For an upsert: how many rows change although they have the same version as the new ones, and an example of their keys. */
  sameVersion?: { rows: number; example: string | null }
}

const Counted = z.tuple([z.object({ rows: Figure })])
const Plus = z.tuple([z.object({ plus: z.array(z.string()) })])
const PlusMinus = z.tuple([z.object({ plus: z.array(z.string()), minus: z.array(z.string()) })])
const Foreign = z.tuple([z.object({ rows: Figure, example: z.string().nullable() })])

/** Compares the clean rows with those of the days that they replace, as far as the job covers them. */
export async function compareWithReplaced(
  job: StageJob,
  client: pg.PoolClient,
  source: { clean: string; validated: ValidateOutput },
  touched: readonly TouchedDays[],
): Promise<Comparison> {
  const days = await compareDays(job, client, source, touched)
  return days ? { ...days, minus: undefined } : { ...(await onlyNew(job, source)), minus: undefined }
}

/** Compares rows that replace nothing: every row is new. Counts those that equal rows of the days that they are added to. */
export async function compareWithAppended(
  job: StageJob,
  client: pg.PoolClient,
  source: { clean: string; validated: ValidateOutput },
  touched: readonly TouchedDays[],
): Promise<Comparison> {
  const compared = await compareDays(job, client, source, touched)
  const alreadyPresent = compared?.days.reduce((sum, { unchanged }) => sum + unchanged, 0) ?? 0
  return { ...(await onlyNew(job, source)), minus: zeros(job), alreadyPresent }
}

/** Compares the clean rows with those of some days; returns undefined if there are none. */
async function compareDays(
  job: StageJob,
  client: pg.PoolClient,
  source: { clean: string; validated: ValidateOutput },
  touched: readonly TouchedDays[],
): Promise<Pick<Comparison, 'days' | 'plus'> | undefined> {
  const { definition } = job.facts
  const stored = join(job.folder, 'stored.csv')
  const rows = await copyToFile(client, copyStored(definition, touched, job.facts), stored)
  if (rows === 0) return undefined
  const catalogue = await readCatalogue(client, definition)
  const input = {
    clean: source.clean,
    stored,
    catalogue,
    zones: await zonesOf(job),
    digests: join(job.folder, 'digests.parquet'),
    rows: rows + source.validated.clean,
  }
  const found = await ask(job, compareReplaced(definition, input), stored)
  mustHaveRead(rows, found('counted'))
  return {
    days: z.array(DayRow).parse(found('days')),
    plus: Plus.parse(found('sums'))[0].plus,
  }
}

/**
 * Compares the clean rows of an upsert with the stored rows that have their keys. @throws RefusedError for rows of
 * another company or warehouse
 */
export async function compareWithKeys(
  job: StageJob,
  client: pg.PoolClient,
  source: { clean: string; validated: ValidateOutput },
): Promise<Comparison> {
  const { definition, companies, warehouses } = job.facts
  const [keys, stored] = [join(job.folder, 'keys.csv'), join(job.folder, 'stored.csv')]
  await ask(job, [keysFile(definition, source.clean, keys)])
  const { create, copyIn } = createKeys(definition)
  await client.query(create)
  await pipeline(createReadStream(keys), client.query(copyFrom(copyIn)), { signal: job.signal })
  await client.query(`analyze ${KEYS_TABLE}`)
  const rows = await copyToFile(client, copyStoredByKey(definition), stored)
  if (rows === 0) return { ...(await onlyNew(job, source)), minus: zeros(job) }
  const catalogue = await readCatalogue(client, definition)
  const zones = await zonesOf(job)
  const input = { clean: source.clean, stored, catalogue, zones, companies, warehouses }
  const found = await ask(job, compareUpserted(definition, input), stored)
  mustHaveRead(rows, found('counted'))
  assertForeignKeys(Foreign.parse(found('foreign'))[0])
  return {
    days: z.array(DayRow).parse(found('days')),
    ...PlusMinus.parse(found('sums'))[0],
    sameVersion: Foreign.parse(found('same-version'))[0],
  }
}

async function onlyNew(
  job: StageJob,
  { clean, validated }: { clean: string; validated: ValidateOutput },
): Promise<Pick<Comparison, 'days' | 'plus'>> {
  const found = await ask(job, [sumsOfClean(job.facts.definition, clean)])
  const days =
    job.facts.definition.windowColumn === undefined
      ? [{ scope: '', day: null, rows: validated.clean }]
      : validated.days
  return {
    plus: Plus.parse(found('sums'))[0].plus,
    days: days.map(({ scope, day, rows }) => {
      return { scope, day, inserted: rows, changed: 0, unchanged: 0, removed: 0, delta: rows }
    }),
  }
}

function zeros(job: StageJob): string[] {
  return summedColumns(job.facts.definition).map(() => '0')
}

/** Runs a query in the engine that fits the file of the job together with the `stored` rows that it is compared with. */
async function ask(
  job: StageJob,
  statements: readonly NamedStatement[],
  stored?: string,
): Promise<(name: string) => readonly unknown[]> {
  const { context, facts, folder, signal } = job
  const storedBytes = stored === undefined ? 0 : (await stat(stored)).size
  const results = await engineFor(context, facts, storedBytes).query(
    { workDir: folder, statements: [...statements], maxRows: 5_000_000 },
    { signal },
  )
  return (name) => results[name]?.rows ?? []
}

/** Verifies that no row was lost on the way; otherwise the preview would be wrong. */
function mustHaveRead(rows: number, counted: readonly unknown[]): void {
  const [read] = Counted.parse(counted)
  if (read.rows !== rows)
    throw new Error(`${rows} rows were copied out of the table, but ${read.rows} were read`)
}
