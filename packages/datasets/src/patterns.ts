import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DatasetProblem } from '@aduana/contracts/datasets'
import { startEngine } from '@aduana/engine/engine'
import { EngineError } from '@aduana/engine/errors'
import { columnPath, patternProbes } from './check.ts'

/**
 * The patterns of a definition that the engine refuses. Only the engine itself can tell, so one is started for as long
 * as it takes; `trusted` has patterns that are in use already.
 */
export async function patternProblems(
  definition: DatasetDefinition,
  trusted: DatasetDefinition | undefined,
): Promise<DatasetProblem[]> {
  const known = new Set(trusted ? patternProbes(trusted).map(({ sql }) => sql) : [])
  const probes = patternProbes(definition).filter(({ sql }) => !known.has(sql))
  if (probes.length === 0) return []
  const workDir = await mkdtemp(join(tmpdir(), 'aduana-patterns-'))
  const engine = await startEngine({ memoryLimitMb: 128, threads: 1, maxTempMb: 1 })
  try {
    const problems: DatasetProblem[] = []
    for (const { column, sql } of probes)
      try {
        const statements = [{ name: 'probe', sql, as: 'rows' as const }]
        await engine.query({ workDir, statements, maxRows: 1 })
      } catch (error) {
        if (!(error instanceof EngineError) || error.code !== 'sql_error') throw error
        problems.push({
          path: `${columnPath(definition, column)}.pattern`,
          code: 'pattern',
          message: `The pattern of column "${column}" is refused: ${error.message}`,
        })
      }
    return problems
  } finally {
    await engine.close()
    await rm(workDir, { recursive: true, force: true })
  }
}
