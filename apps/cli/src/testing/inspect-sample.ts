import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  contradictionFailure,
  evidenceStatements,
  readDecisions,
} from '@aduana/datasets/decisions/column-decisions'
import { knownHeaders, mapHeader } from '@aduana/datasets/header'
import { SHIPPED } from '@aduana/datasets/shipped'
import { surveyFile } from '@aduana/datasets/validation/survey'
import { validateRecords } from '@aduana/datasets/validation/validate-records'
import type { Engine } from '@aduana/engine/engine'
import { inspectDialect } from '@aduana/engine/inspect'
import { z } from 'zod'
import type { SampleOptions, SampleReport } from '../sample/sample.ts'
import { writeSample } from '../sample/write.ts'

const ReasonRows = z.array(
  z.object({ column: z.string().nullable(), code: z.string(), rejects: z.coerce.number() }),
)

/** What the real parser and the real rules find in a sample, in the words of its own report. */
export type Found = Pick<
  SampleReport,
  'records' | 'good' | 'rejected' | 'duplicates' | 'conflicts' | 'reasons'
>

/** Writes a sample, reads it with the engine and the shipped definition, and returns both results. */
export async function inspectSample(
  engine: Engine,
  options: SampleOptions,
): Promise<{ made: SampleReport; found: Found }> {
  const folder = await mkdtemp(join(tmpdir(), 'aduana-sample-'))
  try {
    const input = join(folder, 'sample.csv')
    const made = await writeSample(input, options)
    return { made, found: await inspect(engine, folder, input, options.dataset) }
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function inspect(engine: Engine, folder: string, input: string, code: string): Promise<Found> {
  const definition = SHIPPED.find((shipped) => shipped.code === code)
  if (!definition) throw new Error(`there is no dataset ${code}`)
  const { result } = await inspectDialect(input, { knownNames: knownHeaders(definition) })
  if (!result?.found) throw new Error('no header was found')
  const { dialect } = result
  const { columns, unknown, missing, twice } = mapHeader(definition, dialect.header.cells)
  if (unknown.length + missing.length + twice.length > 0) throw new Error('the header does not fit')
  const parsedFile = join(folder, 'parsed.parquet')
  const parsed = await engine.parse({
    workDir: folder,
    input,
    output: parsedFile,
    rejects: join(folder, 'structural.ndjson'),
    format: 'plain',
    encoding: 'auto',
    delimiter: dialect.delimiter,
    quote: dialect.quote,
    dataOffset: dialect.dataOffset,
    dataLine: dialect.dataLine,
    expectedColumns: dialect.header.cells.length,
    columns,
  })
  const names = columns.map(({ name }) => name)
  const file = { parsed: parsedFile, columns: names }
  // The offset of Colombia since 1993.
  const zones = new Map([['America/Bogota', { offset: -5 * 3600, changes: [] }]])
  const { totals, files } = await engine.session({ workDir: folder }, async (run) => {
    const survey = await surveyFile(run, definition, file)
    const decisions = readDecisions(definition, await run(evidenceStatements(definition, file, survey)))
    if (contradictionFailure(decisions)) throw new Error('the sample contradicts itself')
    return validateRecords(run, definition, { ...file, survey, decisions, zones, folder })
  })
  const reasons = totals.rejected > 0 ? await ruleReasons(engine, folder, files.bad) : []
  const structural = Object.entries(parsed.rejectCounts).map(([reason, rejects]) => ({
    column: null,
    code: reason,
    rejects: rejects ?? 0,
  }))
  return {
    records: parsed.records,
    good: totals.good,
    rejected: totals.rejected + parsed.structuralRejects,
    duplicates: totals.duplicates,
    conflicts: totals.conflicts,
    reasons: [...reasons, ...structural],
  }
}

async function ruleReasons(engine: Engine, folder: string, bad: string): Promise<Found['reasons']> {
  const sql = `select r ->> 'column' as "column", r ->> 'code' as code, count(*) as rejects
    from (select unnest(from_json(reasons, '["json"]')) as r from read_parquet('${bad}')) group by 1, 2`
  const answers = await engine.query({ workDir: folder, statements: [{ name: 'reasons', sql, as: 'rows' }] })
  return ReasonRows.parse(answers.reasons?.rows)
}
