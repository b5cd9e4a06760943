import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lit } from '@aduana/datasets/literals'
import type { EngineTasks } from '@aduana/engine/larger'
import type { RejectsResult } from '@aduana/engine/protocol'
import type { StageJob } from '../stage.ts'
import { fetchFile } from '../stage-files.ts'
import type { ParseOutput, ValidateOutput } from '../stage-outputs.ts'

export interface RejectFiles {
  /** The rejects of the import, structural and by rule, in the order of the file, with their original text. */
  rejects: RejectFile
  /** The duplicates with their original text and the record that won. */
  duplicates: RejectFile
  /** The conflicting records with what differs, beside those that were kept; undefined when there are none. */
  conflicts: RejectFile | undefined
  total: number
  reasons: ValidateOutput['reasons']
}

export interface RejectFile {
  path: string
  /** Undefined if the file would be empty. */
  content?: RejectsResult['content']
}

/**
 * Write the files of rejects, duplicates and conflicts, with the original text of each record cut from the file. They are complete
 * unless `most` is given.
 */
export async function writeRejectFiles(
  job: StageJob,
  engine: EngineTasks,
  parsed: ParseOutput,
  found: {
    bad: string
    badCount: number
    duplicates: string
    duplicateCount: number
    conflicts: string
    conflictCount: number
    most: { rejects: number; bytes: number } | undefined
  },
): Promise<RejectFiles> {
  const { folder } = job
  const original = await fetchFile(job, 'original')
  const most = found.most ? { most: found.most } : {}
  const files = {
    rejects: join(folder, 'rejects.ndjson'),
    duplicates: join(folder, 'duplicates.ndjson'),
    conflicts: join(folder, 'conflicts.ndjson'),
  }
  const write = async (
    count: number,
    request: { sql: string | null; structural: string | null; output: string },
  ) => {
    if (count > 0)
      return engine.writeRejects(
        { workDir: folder, original, format: parsed.format, encoding: parsed.encoding, ...request, ...most },
        {
          signal: job.signal,
          onProgress: ({ fraction }) =>
            job.report({ fraction: 0.85 + fraction * 0.15, message: 'Writing down the rejects' }),
        },
      )
    await writeFile(request.output, '')
    return { total: 0, counts: [], content: undefined }
  }
  const written = await write(found.badCount + parsed.structuralRejects, {
    sql:
      found.badCount > 0
        ? `select _rec, _line, _off, _len, reasons from read_parquet(${lit(found.bad)})`
        : null,
    structural: await fetchFile(job, 'structural.ndjson'),
    output: files.rejects,
  })
  const duplicates = await write(found.duplicateCount, {
    sql: duplicateReasons(found.duplicates),
    structural: null,
    output: files.duplicates,
  })
  const conflicts =
    found.conflictCount > 0
      ? await write(found.conflictCount, {
          sql: `select _rec, _line, _off, _len, reasons from read_parquet(${lit(found.conflicts)})`,
          structural: null,
          output: files.conflicts,
        })
      : undefined
  const file = (path: string, content: RejectsResult['content'] | undefined): RejectFile =>
    content ? { path, content } : { path }
  return {
    rejects: file(files.rejects, written.content),
    duplicates: file(files.duplicates, duplicates.content),
    conflicts: conflicts && file(files.conflicts, conflicts.content),
    total: written.total,
    reasons: written.counts,
  }
}

function duplicateReasons(path: string): string {
  return `select _rec, _line, _off, _len, to_json([struct_pack("column" := null::varchar, code := 'duplicate',
    message := 'the same unique columns as record ' || winner || ', which was kept', value := winner::varchar)])::varchar
    as reasons from read_parquet(${lit(path)})`
}
