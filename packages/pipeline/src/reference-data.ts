import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Column } from '@aduana/contracts/dataset-definition'
import { createMembers, type DimensionTable, selectMembers } from '@aduana/datasets/dimensions'
import { distinctMembers, type MemberFile } from '@aduana/datasets/members'
import { readZone, type ZoneRules, type Zones, zoneRanges } from '@aduana/datasets/zones'
import type pg from 'pg'
import { z } from 'zod'
import { engineFor, type StageJob } from './stage.ts'

const MemberRow = z.object({ code: z.string(), id: z.string() })

/**
 * Writes the members of every dimension column with this `onMissing` as files in the folder of the stage attempt.
 * Returns the files.
 */
export async function knownMembers(job: StageJob, onMissing: 'create' | 'quarantine'): Promise<MemberFile[]> {
  const files: MemberFile[] = []
  for (const column of job.facts.definition.columns) {
    if (column.type !== 'text' || column.managed || column.dimension?.onMissing !== onMissing) continue
    files.push(await memberFile(job, job.context.pool, column.name, column.dimension))
  }
  return files
}

/** A column with a dimension, and its distinct codes in a clean file. */
export interface ColumnCodes {
  column: string
  dimension: TextDimension
  codes: string[]
}

type TextDimension = NonNullable<Extract<Column, { type: 'text' }>['dimension']>

const Codes = z.array(z.object({ code: z.string() }))

/** Returns the distinct codes of the clean file of a job, by column with a dimension. */
export async function codesOf(job: StageJob, clean: string): Promise<ColumnCodes[]> {
  const { context, facts, folder, signal } = job
  const wanted = distinctMembers(facts.definition, clean)
  if (wanted.length === 0) return []
  const found = await engineFor(context, facts).query(
    { workDir: folder, statements: wanted.map(({ statement }) => statement), maxRows: 5_000_000 },
    { signal },
  )
  return wanted.flatMap(({ column: name, statement }) => {
    const column = facts.definition.columns.find((candidate) => candidate.name === name)
    if (column?.type !== 'text' || !column.dimension) return []
    const codes = Codes.parse(found[statement.name]?.rows ?? []).map(({ code }) => code)
    return [{ column: name, dimension: column.dimension, codes }]
  })
}

/** Creates the missing members and writes all members that the codes name to a file in the folder of the stage attempt. */
export async function ensureMembers(
  job: StageJob,
  column: string,
  dimension: DimensionTable & { onMissing: 'create' | 'quarantine' },
  codes: readonly string[],
): Promise<MemberFile> {
  const { pool } = job.context
  if (dimension.onMissing === 'create')
    await pool.query(createMembers(dimension, codes, job.stageAttempt.jobId))
  return memberFile(job, pool, column, dimension, codes)
}

async function memberFile(
  job: StageJob,
  pool: pg.Pool,
  column: string,
  dimension: DimensionTable,
  codes?: readonly string[],
): Promise<MemberFile> {
  const result = await pool.query(selectMembers(dimension, codes))
  const lines = z
    .array(MemberRow)
    .parse(result.rows)
    .map((row) => JSON.stringify(row))
  const file = join(job.folder, `members-${column}.ndjson`)
  await writeFile(file, lines.length > 0 ? `${lines.join('\n')}\n` : '')
  return { column, file }
}

/** New zone rules arrive with an update of the server's packages, without a restart of this process. */
const CACHE_MS = 60_000

const READ = new WeakMap<pg.Pool, Map<string, { rules: ZoneRules; until: number }>>()

/** Returns PostgreSQL's rules for the time zones of a job's dataset. Caches them for a minute. */
export async function zonesOf({
  context,
  facts,
}: {
  context: Pick<StageJob['context'], 'pool'>
  facts: Pick<StageJob['facts'], 'definition'>
}): Promise<Zones> {
  const known = READ.get(context.pool) ?? new Map<string, { rules: ZoneRules; until: number }>()
  READ.set(context.pool, known)
  const zones = new Map<string, ZoneRules>()
  for (const [zone, range] of zoneRanges(facts.definition)) {
    const name = `${zone} ${range.from} ${range.to}`
    const kept = known.get(name)
    const fresh = kept && kept.until > performance.now()
    const rules = fresh ? kept.rules : await readZone(context.pool, zone, range)
    if (!fresh) known.set(name, { rules, until: performance.now() + CACHE_MS })
    zones.set(zone, rules)
  }
  return zones
}
