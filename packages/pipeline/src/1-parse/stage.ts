import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobFailure } from '@aduana/contracts/failures'
import { knownHeaders } from '@aduana/datasets/header'
import type { Tx } from '@aduana/db/database'
import { inspectDialect } from '@aduana/engine/inspect'
import { changeJob } from '@aduana/jobs/transitions'
import { engineFor } from '../context.ts'
import type { Stage, StageJob, StageResult } from '../stage.ts'
import { fetchFile, type KeptFile, keepFile, pointAt } from '../stage-files.ts'
import type { ParseOutput } from '../stage-outputs.ts'
import { type Collected, collect } from './collect.ts'
import { readLayout } from './layout.ts'

/** Parse: whatever came becomes one columnar file, all text, each record with its place in the original. */
export const parse: Stage = { name: 'parse', work }

async function work(job: StageJob): Promise<StageResult> {
  const { context, facts, folder } = job
  const collected = facts.manifest ? await collect(job, facts.manifest) : undefined
  const original = collected?.original ?? (await fetchFile(job, 'original'))
  const { inspection, result } = await inspectDialect(original, {
    knownNames: knownHeaders(facts.definition),
    ...(facts.delimiter === null ? {} : { delimiter: facts.delimiter }),
    ...(facts.encoding === null
      ? {}
      : { encoding: facts.encoding === 'iso-8859-1' ? 'windows-1252' : facts.encoding }),
  })
  const layout = readLayout(facts.definition, inspection, result)
  if ('failure' in layout) return { kind: 'fail', failure: layout.failure }

  const files = { parsed: join(folder, 'parsed.parquet'), structural: join(folder, 'structural.ndjson') }
  const { size: bytes } = await stat(original)
  const parsed = await engineFor(context, bytes).parse(
    {
      workDir: folder,
      input: original,
      output: files.parsed,
      rejects: files.structural,
      ...layout.reading,
      limits: { maxBytes: context.maxUnpackedBytes },
    },
    {
      signal: job.signal,
      onProgress: ({ fraction, rows }) =>
        job.report({ fraction, message: 'Reading the file', ...(rows > 0 ? { processedItems: rows } : {}) }),
    },
  )
  const { expectedRecords } = facts
  if (parsed.records === 0 && expectedRecords !== 0)
    return { kind: 'fail', failure: noRecords(layout.output.headerLine) }
  const kept = await keepAll(job, files, collected)
  if (expectedRecords !== null && parsed.records !== expectedRecords)
    return {
      kind: 'fail',
      failure: countDiffers(parsed.records, expectedRecords),
      keep: (tx) =>
        pointAt(
          tx,
          job,
          kept.filter(({ downloadable }) => downloadable),
        ),
    }
  const output: ParseOutput = {
    ...layout.output,
    encoding: parsed.encoding,
    records: parsed.records,
    good: parsed.good,
    structuralRejects: parsed.structuralRejects,
    skipped: parsed.skipped,
    embedded: parsed.embedded,
  }
  return {
    kind: 'done',
    commit: async (tx) => {
      await pointAt(tx, job, kept)
      if (collected) await noteSize(tx, job, bytes)
      await changeJob(
        tx,
        { jobId: job.run.jobId, attempt: job.run.attempt, from: ['PROCESSING'] },
        { records: parsed.records, total_items: parsed.records, processed_items: parsed.records },
      )
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
    detail: `The file has ${found} records, but ${expected} were announced. Nothing was changed. Send the whole file, or the right number.`,
  }
}

interface ParsedFiles {
  parsed: string
  structural: string
}

function keepAll(job: StageJob, files: ParsedFiles, collected: Collected | undefined): Promise<KeptFile[]> {
  const PARQUET = 'application/vnd.apache.parquet'
  const NDJSON = 'application/x-ndjson'
  const own = { downloadable: false }
  return Promise.all([
    keepFile(job, { path: files.parsed, name: 'parsed.parquet', mediaType: PARQUET, ...own }),
    keepFile(job, { path: files.structural, name: 'structural.ndjson', mediaType: NDJSON, ...own }),
    ...(collected
      ? [
          keepFile(job, { path: collected.original, name: 'original', mediaType: 'text/csv' }),
          keepFile(job, { path: collected.manifest, name: 'manifest.json', mediaType: 'application/json' }),
        ]
      : []),
  ])
}

async function noteSize(tx: Tx, { run }: StageJob, bytes: number): Promise<void> {
  await tx.updateTable('imports').set({ bytes }).where('job_id', '=', run.jobId).execute()
}
