import { join } from 'node:path'
import { knownHeaders } from '@aduana/datasets/header'
import { inspectDialect } from '@aduana/engine/inspect'
import { changeJob } from '@aduana/jobs/transitions'
import { engineFor } from '../context.ts'
import type { Stage, StageJob, StageResult } from '../stage.ts'
import { fetchFile, keepFile, pointAt } from '../stage-files.ts'
import type { ParseOutput } from '../stage-outputs.ts'
import { readLayout } from './layout.ts'

/** Parse: whatever came becomes one columnar file, all text, each record with its place in the original. */
export const parse: Stage = { name: 'parse', work }

async function work(job: StageJob): Promise<StageResult> {
  const { context, facts, folder } = job
  const original = await fetchFile(job, 'original')
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
  const parsed = await engineFor(context, facts.bytes).parse(
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
  if (parsed.records === 0)
    return {
      kind: 'fail',
      failure: {
        code: 'no_records',
        detail: `The file has a header in line ${layout.output.headerLine} but no records after it. Nothing was changed. Send a file that has records.`,
      },
    }
  const kept = await Promise.all([
    keepFile(job, {
      path: files.parsed,
      name: 'parsed.parquet',
      mediaType: 'application/vnd.apache.parquet',
      downloadable: false,
    }),
    keepFile(job, {
      path: files.structural,
      name: 'structural.ndjson',
      mediaType: 'application/x-ndjson',
      downloadable: false,
    }),
  ])
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
      await changeJob(
        tx,
        { jobId: job.run.jobId, attempt: job.run.attempt, from: ['PROCESSING'] },
        { records: parsed.records, total_items: parsed.records, processed_items: parsed.records },
      )
      return output
    },
  }
}
