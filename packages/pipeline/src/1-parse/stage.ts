import { join } from 'node:path'
import type { JobFailure } from '@aduana/contracts/failures'
import { counted, figure } from '@aduana/contracts/figures'
import type { FileLayout } from '@aduana/contracts/rejects'
import type { Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import type { EngineTasks } from '@aduana/engine/larger'
import type { ParseResult, RejectsResult } from '@aduana/engine/protocol'
import type { SourceFormat } from '@aduana/engine/source'
import { changeJob } from '@aduana/jobs/lifecycle/transitions'
import { maxRejectsOfFailed, percentage, storeRejects } from '../rejects.ts'
import type { ImportFacts, Stage, StageJob, StageResult } from '../stage.ts'
import { fetchArtifact, registerArtifacts, type StoredArtifact, storeArtifact } from '../stage-artifacts.ts'
import { type ParseOutput, recognised } from '../stage-outputs.ts'
import { type Collected, collect } from './collect.ts'
import { otherHeader } from './header-failures.ts'
import { type ParsedFiles, readRecords } from './read-records.ts'
import { columnWarnings, encodingWarnings } from './warnings.ts'

/** The parse stage: turns the original into a columnar file of text, in which each record has its position in the original. */
export const parse: Stage = { name: 'parse', work }

async function work(job: StageJob): Promise<StageResult> {
  const { facts, folder } = job
  const collected = facts.manifest ? await collect(job, facts.manifest) : undefined
  const original = collected?.original ?? (await fetchArtifact(job, 'original'))
  const files = { parsed: join(folder, 'parsed.parquet'), structural: join(folder, 'structural.ndjson') }
  const read = await readRecords(job, original, files)
  if ('failure' in read) return { kind: 'fail', failure: read.failure }
  const { layout, parsed, engine } = read
  if (parsed.otherHeader) return { kind: 'fail', failure: otherHeader(layout.header, parsed.otherHeader) }
  const output: ParseOutput = {
    ...layout.output,
    encoding: parsed.encoding,
    encodingSure: parsed.encodingDoubt === null,
    warnings: [
      ...layout.output.warnings,
      ...columnWarnings(facts.definition, layout, parsed),
      ...encodingWarnings(parsed, facts.encoding, facts.mode),
    ],
    records: parsed.records,
    good: parsed.good,
    structuralRejects: parsed.structuralRejects,
    skipped: parsed.skipped,
  }
  if (parsed.stopped)
    return stopped(job, engine, parsed, {
      layout: read.file,
      output,
      original,
      format: layout.reading.format,
      structural: files.structural,
      collected: await keepCollected(job, collected),
    })
  const { expectedRecords } = facts
  if (parsed.records === 0 && expectedRecords !== 0)
    return { kind: 'fail', failure: noRecords(layout.output.headerLine) }
  const kept = await keepAll(job, files, parsed, collected)
  const note = async (tx: Tx) => {
    await noteFile(tx, job, parsed, { layout: read.file, collected })
    await changeJob(
      tx,
      { jobId: job.stageAttempt.jobId, attempt: job.stageAttempt.attempt, from: ['PROCESSING'] },
      {
        records: parsed.records,
        total_items: parsed.records,
        processed_items: parsed.records,
        result: jsonb(recognised(output)),
      },
    )
  }
  if (expectedRecords !== null && parsed.records !== expectedRecords)
    return {
      kind: 'fail',
      failure: countDiffers(parsed.records, expectedRecords),
      keep: async (tx) => {
        await registerArtifacts(
          tx,
          job,
          kept.filter(({ downloadable }) => downloadable),
        )
        await note(tx)
      },
    }
  return {
    kind: 'done',
    commit: async (tx) => {
      await registerArtifacts(tx, job, kept)
      await note(tx)
      return output
    },
  }
}

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
async function stopped(
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

function noRecords(headerLine: number): JobFailure {
  return {
    code: 'no_records',
    detail: `The file has a header in line ${headerLine} but no records after it. Nothing was changed. Send a file that has records.`,
  }
}

function countDiffers(found: number, expected: number): JobFailure {
  return {
    code: 'record_count_differs',
    detail: `The file has ${counted(found, 'record')}, but expectedRecords (--expect-records) is ${figure(expected)}. Nothing was changed. Send the whole file, or correct the number.`,
  }
}

async function keepAll(
  job: StageJob,
  files: ParsedFiles,
  parsed: ParseResult,
  collected: Collected | undefined,
): Promise<StoredArtifact[]> {
  const PARQUET = 'application/vnd.apache.parquet'
  const NDJSON = 'application/x-ndjson'
  const own = { downloadable: false }
  const content = parsed.rejectsContent
  const kept = await Promise.all([
    storeArtifact(job, { path: files.parsed, name: 'parsed.parquet', mediaType: PARQUET, ...own }),
    storeArtifact(job, {
      path: files.structural,
      name: 'structural.ndjson',
      mediaType: NDJSON,
      content,
      ...own,
    }),
    keepCollected(job, collected),
  ])
  return kept.flat()
}

async function keepCollected(job: StageJob, collected: Collected | undefined): Promise<StoredArtifact[]> {
  if (!collected) return []
  return Promise.all([
    storeArtifact(job, { path: collected.original, name: 'original', mediaType: 'text/csv' }),
    storeArtifact(job, { path: collected.manifest, name: 'manifest.json', mediaType: 'application/json' }),
  ])
}

/**
 * Records the layout and the size of the file; later stages choose their engine by its size. For a collected file, the
 * size is not known before this stage.
 */
async function noteFile(
  tx: Tx,
  { stageAttempt }: StageJob,
  parsed: ParseResult,
  { layout, collected }: { layout: FileLayout; collected: Collected | undefined },
): Promise<void> {
  await tx
    .updateTable('imports')
    .set({
      layout: jsonb(layout),
      unpacked_bytes: parsed.bytes,
      ...(collected ? { bytes: collected.bytes } : {}),
    })
    .where('job_id', '=', stageAttempt.jobId)
    .execute()
}
