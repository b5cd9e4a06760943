import { join } from 'node:path'
import type { JobFailure } from '@aduana/contracts/failures'
import { counted, figure } from '@aduana/contracts/figures'
import type { FileLayout } from '@aduana/contracts/rejects'
import { jsonb } from '@aduana/db/jsonb'
import type { EngineTasks } from '@aduana/engine/larger'
import type { ParseResult, RejectsResult } from '@aduana/engine/protocol'
import type { SourceFormat } from '@aduana/engine/source'
import { changeJob } from '@aduana/jobs/lifecycle/transitions'
import type { ImportFacts } from '../import-facts.ts'
import { recognised } from '../recognised.ts'
import { maxRejectsOfFailed } from '../reject-limits.ts'
import { percentage } from '../shares.ts'
import type { StageJob, StageResult } from '../stage.ts'
import { registerArtifacts, type StoredArtifact, storeArtifact } from '../stage-artifacts.ts'
import type { ParseOutput } from '../stage-outputs.ts'
import { storeRejects } from '../store-rejects.ts'

interface StoppedFiles {
  layout: FileLayout
  output: ParseOutput
  original: string
  format: SourceFormat
  structural: string
  collected: readonly StoredArtifact[]
}

/**
 * Ends an import that failed before its file was read completely. Keeps its first rejects; the total number of records
 * is unknown.
 */
export async function stopped(
  job: StageJob,
  engine: EngineTasks,
  parsed: ParseResult,
  { layout, output: found, original, format, structural, collected }: StoppedFiles,
): Promise<StageResult> {
  const { facts, folder, run, signal } = job
  const output = join(folder, 'rejects.ndjson')
  const most = maxRejectsOfFailed(parsed.bytes)
  const { encoding } = parsed
  const rejects = await engine.writeRejects(
    { workDir: folder, original, format, encoding, sql: null, structural, output, most },
    { signal },
  )
  const { content } = rejects
  const mediaType = 'application/x-ndjson'
  const file = await storeArtifact(job, { path: output, name: 'rejects.ndjson', mediaType, content })
  return {
    kind: 'fail',
    failure: tooManySoFar(facts, parsed, rejects),
    keep: async (tx, client) => {
      await registerArtifacts(tx, job, [...collected, file])
      // A dry run keeps its rejects only in the file.
      if (!facts.dryRun) await storeRejects(client, facts, output, parsed.bytes, signal)
      const guard = { jobId: run.jobId, attempt: run.attempt, from: ['PROCESSING' as const] }
      await changeJob(tx, guard, { quarantined: rejects.total, result: jsonb(recognised(found)) })
      await tx
        .updateTable('imports')
        .set({ layout: jsonb(layout) })
        .where('job_id', '=', run.jobId)
        .execute()
    },
  }
}

function tooManySoFar(facts: ImportFacts, parsed: ParseResult, rejects: RejectsResult): JobFailure {
  const { code, maxRejectRatio } = facts.definition
  const { records, structuralRejects, bytes } = parsed
  const [top] = Object.entries(parsed.rejectCounts).sort(([, a], [, b]) => b - a)
  const why = top ? ` Most frequent reason: ${top[0]} (${figure(top[1])}).` : ''
  return {
    code: 'too_many_rejects',
    detail: `The file was not read to the end: ${figure(structuralRejects)} of its first ${counted(records, 'record')} (${counted(bytes, 'byte')}, unpacked) were rejected. This exceeds the limit of ${code}, ${percentage(maxRejectRatio)} %, even if all other records are good.${why} Nothing was loaded; the first ${counted(rejects.total, 'reject')} ${rejects.total === 1 ? 'is' : 'are'} kept. Correct the file and send it again.`,
    rejected: structuralRejects,
    records,
    readBytes: bytes,
    kept: rejects.total,
    readToEnd: false,
  }
}
