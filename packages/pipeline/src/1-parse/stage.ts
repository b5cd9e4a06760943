import { join } from 'node:path'
import type { JobFailure } from '@aduana/contracts/failures'
import { counted, figure } from '@aduana/contracts/figures'
import type { FileLayout } from '@aduana/contracts/rejects'
import type { Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import type { ParseResult } from '@aduana/engine/protocol'
import { changeJob } from '@aduana/jobs/lifecycle/transitions'
import type { Stage, StageJob, StageResult } from '../stage.ts'
import { fetchArtifact, registerArtifacts, type StoredArtifact, storeArtifact } from '../stage-artifacts.ts'
import { type ParseOutput, recognised } from '../stage-outputs.ts'
import { type Collected, collect } from './collect.ts'
import { columnWarnings } from './column-warnings.ts'
import { encodingWarnings } from './encoding-warning.ts'
import { otherHeader } from './header-failures.ts'
import { type ParsedFiles, readRecords } from './read-records.ts'
import { stopped } from './stopped.ts'

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
