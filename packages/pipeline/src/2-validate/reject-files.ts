import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { lit, quoteIdentifier } from '@aduana/datasets/literals'
import type { EngineTasks } from '@aduana/engine/larger'
import type { RejectsResult } from '@aduana/engine/protocol'
import type { StageJob } from '../stage.ts'
import { fetchArtifact } from '../stage-artifacts.ts'
import type { ParseOutput, ValidateOutput } from '../stage-outputs.ts'

export interface RejectFiles {
  /** All rejects of the import, structural and by rule, in file order, with their original text. */
  rejects: RejectFile
  /** The duplicates, with their original text and the record that was kept. */
  duplicates: RejectFile
  /** The conflicting records, with how they differ from those that were kept; undefined if there are none. */
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
 * Writes the files of rejects, duplicates and conflicts, each with the original text of its records. The files are
 * complete unless `most` is given.
 */
export async function writeRejectFiles(
  job: StageJob,
  engine: EngineTasks,
  parsed: ParseOutput,
  found: {
    bad: string
    badCount: number
    duplicates: string
    /** The records that break no rule, including duplicates. */
    good: string
    duplicateCount: number
    conflicts: string
    conflictCount: number
    most: { rejects: number; bytes: number } | undefined
  },
): Promise<RejectFiles> {
  const { folder } = job
  const original = await fetchArtifact(job, 'original')
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
            job.report({ fraction: 0.85 + fraction * 0.15, message: 'Writing the rejects' }),
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
    structural: await fetchArtifact(job, 'structural.ndjson'),
    output: files.rejects,
  })
  const duplicates = await write(found.duplicateCount, {
    sql: duplicateReasons(found.duplicates, await placesOf(job, parsed, found.good)),
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

/** The files that contain the versions of records: typed in the good rows, as written in the parsed ones. */
interface Places {
  definition: DatasetDefinition
  version?: { good: string; parsed: string; column: string }
}

async function placesOf(job: StageJob, { columns }: ParseOutput, good: string): Promise<Places> {
  const { definition } = job.facts
  const { versionColumn: column, loadMode } = definition
  if (loadMode !== 'upsert' || column === undefined || !columns.includes(column)) return { definition }
  const parsed = await fetchArtifact(job, 'parsed.parquet')
  return { definition, version: { good, parsed, column } }
}

/**
 * Returns SQL that selects the duplicates with their reason. A record that lost only because its version is older may
 * differ from the one that was kept, so its reason names both versions.
 */
function duplicateReasons(path: string, { definition, version }: Places): string {
  const same = lit(`the same ${whatAgrees(definition)} as record `)
  const whole = `read_parquet(${lit(path)})`
  if (version === undefined) return reasonsOf(`${same} || winner || ${PRECEDENCE}`, whole)
  const cell = quoteIdentifier(version.column)
  const versions = `(select _rec, g.v, p.written from (select _rec, ${cell} as v from read_parquet(${lit(version.good)})) g join (select _rec, ${cell} as written from read_parquet(${lit(version.parsed)})) p using (_rec))`
  const known = `(select d.*, l.v is distinct from w.v as older, l.written as here, w.written as there from ${whole} d join ${versions} l on l._rec = d._rec join ${versions} w on w._rec = d.winner)`
  const shown = (text: string) => `coalesce(nullif(trim(${text}), ''), 'empty')`
  const older = `'an older version of record ' || winner || ${lit(` (${version.column}: `)} || ${shown('here')} || ' here, ' || ${shown('there')} || ' there)'`
  return reasonsOf(`case when older then ${older} else ${same} || winner end || ${PRECEDENCE}`, known)
}

/** Worded so that it also holds for imports that load nothing. */
const PRECEDENCE = `', which takes precedence'`

function reasonsOf(message: string, source: string): string {
  return `select _rec, _line, _off, _len, to_json([struct_pack("column" := null::varchar, code := 'duplicate',
    message := ${message}, value := winner::varchar)])::varchar as reasons from ${source}`
}

function whatAgrees({ loadMode, unique, key = [] }: DatasetDefinition): string {
  if (loadMode !== 'upsert') return 'unique columns'
  const one = !unique || [...unique.columns].sort().join() === [...key].sort().join()
  return one ? 'key' : 'unique columns or key'
}
