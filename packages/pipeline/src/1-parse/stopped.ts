import { join } from 'node:path'
import type { JobFailure } from '@aduana/contracts/failures'
import { figure } from '@aduana/contracts/figures'
import type { FileLayout } from '@aduana/contracts/rejects'
import { jsonb } from '@aduana/db/jsonb'
import type { EngineTasks } from '@aduana/engine/larger'
import type { ParseResult, RejectsResult } from '@aduana/engine/protocol'
import type { SourceFormat } from '@aduana/engine/source'
import { changeJob } from '@aduana/jobs/lifecycle/transitions'
import { maxRejectsOfFailed, percentage, storeRejects } from '../rejects.ts'
import type { ImportFacts, StageJob, StageResult } from '../stage.ts'
import { registerArtifacts, type StoredArtifact, storeArtifact } from '../stage-artifacts.ts'
import { type ParseOutput, recognised } from '../stage-outputs.ts'

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
  const { facts, folder, stageAttempt, signal } = job
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
      const guard = {
        jobId: stageAttempt.jobId,
        attempt: stageAttempt.attempt,
        from: ['PROCESSING' as const],
      }
      await changeJob(tx, guard, { quarantined: rejects.total, result: jsonb(recognised(found)) })
      await tx
        .updateTable('imports')
        .set({ layout: jsonb(layout) })
        .where('job_id', '=', stageAttempt.jobId)
        .execute()
    },
  }
}

function tooManySoFar(facts: ImportFacts, parsed: ParseResult, rejects: RejectsResult): JobFailure {
  const { code, maxRejectRatio } = facts.definition
  const { records, structuralRejects, bytes } = parsed
  const [top] = Object.entries(parsed.rejectCounts).sort(([, a], [, b]) => b - a)
  const why = top ? ` Most often: ${top[0]} (${figure(top[1])}).` : ''
  return {
    code: 'too_many_rejects',
    detail: `The file was not read to the end: ${figure(structuralRejects)} of its first ${figure(records)} records (${figure(bytes)} bytes, unpacked) were rejected, so more than the ${percentage(maxRejectRatio)} % that ${code} allows are rejects, even if all other records are good.${why} Nothing was loaded; the first ${figure(rejects.total)} rejects are kept. Correct the file and send it again.`,
    rejected: structuralRejects,
    records,
    readBytes: bytes,
    kept: rejects.total,
    readToEnd: false,
  }
}
