import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DatasetProblem } from '@aduana/contracts/datasets'
import { type Engine, startEngine } from '@aduana/engine/engine'
import { EngineError } from '@aduana/engine/errors'
import type { CatalogueTable } from './catalogue.ts'
import { definitionProblems, patternProbes } from './check.ts'
import { sumsOfClean } from './comparison.ts'
import { evidenceStatements } from './decisions/column-decisions.ts'
import { fileColumns } from './header.ts'
import { lit, quoteIdentifier } from './literals.ts'
import { compileLoadFile } from './load-file.ts'
import type { MemberFile } from './members.ts'
import { columnPath } from './placed-problems.ts'
import type { NamedStatement } from './statement.ts'
import { allStatements, planValidation } from './validation/plan.ts'
import { surveyStatements } from './validation/survey.ts'
import { type ZoneRules, zoneRanges } from './zones.ts'

/**
 * Returns the parts of a definition that the engine cannot run: patterns, and any other rule. Starts an engine for the
 * check, because no other check is reliable. `trusted` is the definition that is already in use.
 */
export async function engineProblems(
  definition: DatasetDefinition,
  trusted: DatasetDefinition | undefined,
  catalogue: readonly CatalogueTable[],
): Promise<DatasetProblem[]> {
  if (trusted && JSON.stringify(trusted) === JSON.stringify(definition)) return []
  const workDir = await mkdtemp(join(tmpdir(), 'aduana-definition-'))
  const engine = await startEngine({ memoryLimitMb: 384, threads: 1, maxTempMb: 1 })
  try {
    const patterns = await patternProblems(engine, workDir, definition)
    if (patterns.length > 0 || definitionProblems(definition).length > 0) return patterns
    const refusal = await refusalOf(engine, workDir, await dryStatements(definition, catalogue, workDir))
    const message = `The engine cannot run the rules of this definition: ${refusal}`
    return refusal === undefined ? [] : [{ path: '', code: 'contradiction', message }]
  } finally {
    await engine.close()
    await rm(workDir, { recursive: true, force: true })
  }
}

async function patternProblems(
  engine: Engine,
  workDir: string,
  definition: DatasetDefinition,
): Promise<DatasetProblem[]> {
  const problems: DatasetProblem[] = []
  for (const { column, sql } of patternProbes(definition)) {
    const refusal = await refusalOf(engine, workDir, [{ name: 'probe', sql, as: 'rows' }])
    if (refusal !== undefined)
      problems.push({
        path: `${columnPath(definition, column)}.pattern`,
        code: 'pattern',
        message: `The engine does not accept the pattern of column "${column}": ${refusal}`,
      })
  }
  return problems
}

/** Returns the engine's error for statements; undefined if they run. */
async function refusalOf(
  engine: Engine,
  workDir: string,
  statements: NamedStatement[],
): Promise<string | undefined> {
  try {
    await engine.query({ workDir, statements, maxRows: 1 })
    return undefined
  } catch (error) {
    if (!(error instanceof EngineError) || !['sql_error', 'engine_out_of_memory'].includes(error.code))
      throw error
    return error.message
  }
}

/** The rules of a zone affect which rows are good, not whether a statement runs, so any rules will do. */
const ANY_RULES: ZoneRules = { offset: 0, changes: [{ at: 0, offset: 3600 }] }

/** Returns all statements that an import runs, for a file without records. */
async function dryStatements(
  definition: DatasetDefinition,
  catalogue: readonly CatalogueTable[],
  folder: string,
): Promise<NamedStatement[]> {
  const columns = fileColumns(definition).map(({ name }) => name)
  const parsed = join(folder, 'parsed.parquet')
  const places = ['_rec', '_line', '_off', '_len'].map((name) => `0::bigint as ${name}`)
  const cells = columns.map((name) => `''::varchar as ${quoteIdentifier(name)}`)
  const members: MemberFile[] = []
  for (const column of fileColumns(definition)) {
    if (column.type !== 'text' || !column.dimension) continue
    const file = join(folder, `members-${column.name}.ndjson`)
    await writeFile(file, '')
    members.push({ column: column.name, file })
  }
  const file = { parsed, columns }
  const everything = { careful: new Set(columns), telling: new Set(columns) }
  const plan = planValidation(definition, {
    ...file,
    survey: everything,
    members,
    catalogue,
    zones: new Map([...zoneRanges(definition).keys()].map((zone) => [zone, ANY_RULES])),
    folder,
  })
  const clean = plan.files.good
  const load = { clean, dimensions: members, importNo: 1, jobId: '', output: join(folder, 'load.csv') }
  return [
    {
      name: 'parsed',
      sql: `copy (select ${[...places, ...cells].join(', ')} where false) to ${lit(parsed)} (format parquet)`,
      as: 'none',
    },
    ...surveyStatements(definition, file),
    ...evidenceStatements(definition, file, everything),
    ...allStatements(plan),
    ...compileLoadFile(definition, load).statements,
    { ...sumsOfClean(definition, clean), name: 'sums-of-clean' },
  ]
}
