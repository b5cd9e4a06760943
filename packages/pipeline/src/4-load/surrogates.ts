import { distinctMembers, type MemberFile } from '@aduana/datasets/members'
import { z } from 'zod'
import { ensureMembers } from '../reference-data.ts'
import { engineFor, type StageJob } from '../stage.ts'

const Codes = z.array(z.object({ code: z.string() }))

/**
 * Writes the surrogate ids of every code in the clean file to files in the folder of the stage attempt. Creates missing
 * members.
 */
export async function surrogates(job: StageJob, clean: string): Promise<MemberFile[]> {
  const { context, facts, folder, signal } = job
  const wanted = distinctMembers(facts.definition, clean)
  if (wanted.length === 0) return []
  const found = await engineFor(context, facts).query(
    { workDir: folder, statements: wanted.map(({ statement }) => statement), maxRows: 5_000_000 },
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
