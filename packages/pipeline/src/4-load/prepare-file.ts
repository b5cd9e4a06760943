import { join } from 'node:path'
import { compileLoadFile } from '@aduana/datasets/load-file'
import { distinctMembers, type MemberFile } from '@aduana/datasets/members'
import { z } from 'zod'
import { engineFor } from '../context.ts'
import { ensureMembers } from '../members.ts'
import type { StageJob } from '../stage.ts'
import { fetchFile } from '../stage-files.ts'
import type { ValidateOutput } from '../stage-outputs.ts'

/** The share of the load's progress that preparing the file takes. */
export const PREPARED = 0.3

const Codes = z.array(z.object({ code: z.string() }))

/** Write the file that COPY will read: surrogate ids in place of codes, sorted by the index of the table. */
export async function prepareFile(job: StageJob, validated: ValidateOutput): Promise<string> {
  const { context, facts, folder, signal } = job
  const engine = engineFor(context, facts.bytes)
  const clean = await fetchFile(job, 'clean.parquet')
  const output = join(folder, 'load.csv')
  const dimensions = await surrogates(job, clean)
  const compiled = compileLoadFile(facts.definition, {
    clean,
    dimensions,
    importNo: facts.importNo,
    jobId: facts.jobId,
    output,
  })
  await engine.query(
    { workDir: folder, statements: compiled.statements },
    {
      signal,
      onProgress: ({ fraction }) =>
        job.report({
          fraction: fraction * PREPARED,
          message: 'Sorting the rows',
          totalItems: validated.clean,
        }),
    },
  )
  return output
}

async function surrogates(job: StageJob, clean: string): Promise<MemberFile[]> {
  const { context, facts, folder, signal } = job
  const wanted = distinctMembers(facts.definition, clean)
  if (wanted.length === 0) return []
  const found = await engineFor(context, facts.bytes).query(
    {
      workDir: folder,
      statements: wanted.map(({ statement }) => statement),
      maxRows: 5_000_000,
    },
    { signal },
  )
  const files: MemberFile[] = []
  for (const { column: name, statement } of wanted) {
    const column = facts.definition.columns.find((candidate) => candidate.name === name)
    if (column?.type !== 'text' || !column.dimension) continue
    const codes = Codes.parse(found[statement.name]?.rows ?? []).map(({ code }) => code)
    files.push(await ensureMembers(job, name, column.dimension, codes))
  }
  return files
}
