import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { EngineError } from '../errors.ts'
import type { ParseResult, parseTask } from '../protocol.ts'
import { type Transcoded, transcode } from '../transcode.ts'
import { pathInside, type TaskContext, withDuck } from './context.ts'
import { type Duck, identifier, literal, openDuck } from './duck.ts'

type ParseTask = z.infer<typeof parseTask>

/**
 * Converts an original to a canonical file and that to Parquet. Both results are created only if the whole task
 * succeeds and the counts balance: every record of the file is either a row of the Parquet file or a structural reject.
 * If the file fails by its limit of rejects, only the rejects found so far are created.
 */
export async function parse(task: ParseTask, context: TaskContext): Promise<ParseResult> {
  const output = await pathInside(task.workDir, task.output)
  const rejects = await pathInside(task.workDir, task.rejects)
  const canonical = join(context.tempDir, 'canonical')
  const newRejects = join(context.tempDir, 'rejects.ndjson')
  const newOutput = join(context.tempDir, 'parsed.parquet')

  const started = Date.now()
  const found = await transcode({
    source: {
      path: task.input,
      format: task.format,
      ...(task.limits.maxBytes ? { maxBytes: task.limits.maxBytes } : {}),
    },
    encoding: task.encoding,
    canonical,
    rejects: newRejects,
    delimiter: task.delimiter,
    quote: task.quote,
    expectedColumns: task.expectedColumns,
    columns: task.columns.map(({ index }) => index),
    ...(task.unnamed ? { unnamed: task.unnamed } : {}),
    startOffset: task.dataOffset,
    startLine: task.dataLine,
    ...(task.lineEnd ? { lineEnd: task.lineEnd } : {}),
    ...(task.header ? { header: task.header } : {}),
    ...(task.limits.maxRecordBytes ? { maxRecordBytes: task.limits.maxRecordBytes } : {}),
    ...(task.limits.maxRawBytes ? { maxRawBytes: task.limits.maxRawBytes } : {}),
    ...(task.limits.rejects ? { rejectLimit: task.limits.rejects } : {}),
    signal: context.signal,
    onProgress: ({ read, total }, { records }) =>
      context.report({
        phase: 'read',
        bytesDone: read,
        bytesTotal: total,
        rows: records,
        fraction: total ? (read / total) * 0.5 : 0,
      }),
  })
  const transcoded = Date.now()
  if (!found.stopped) {
    const duck = await openDuck(task.workDir, context.tempDir, context.limits)
    await withDuck(duck, context, () => writeParquet(duck, task, context, found, canonical, newOutput))
    await rename(newOutput, output)
  }
  await rm(canonical)
  await rename(newRejects, rejects)
  const { records, good, structural, skipped, bytes, brokenColumns, encoding, rejectCounts } = found
  return {
    records,
    good,
    structuralRejects: structural,
    skipped,
    otherHeader: found.otherHeader,
    extraCells: found.extraCells,
    unnamedColumns: found.unnamedColumns,
    bytes,
    embedded: brokenColumns.size > 0,
    encoding,
    encodingDoubt: found.doubt,
    stopped: found.stopped,
    rejectsContent: found.rejectsContent,
    rejectCounts,
    transcodeMs: transcoded - started,
    parquetMs: Date.now() - transcoded,
  }
}

async function writeParquet(
  duck: Duck,
  task: ParseTask,
  context: TaskContext,
  found: Transcoded,
  canonical: string,
  output: string,
): Promise<void> {
  const { bytes, records } = found
  const report = (share: number) =>
    context.report({
      phase: 'write',
      bytesDone: bytes,
      bytesTotal: bytes,
      rows: records,
      fraction: 0.5 + Math.min(1, share) * 0.5,
    })
  report(0)
  const timer = setInterval(() => report(duck.percentage() / 100), 150)
  try {
    // Version 2 pages are a fifth smaller and a third faster to read than version 1, for the same time of writing.
    // A row group is buffered in memory while it is written: half the usual rows, and fewer if records are large.
    const perGroup = Math.floor(32_000_000 / (1 + found.bytes / Math.max(1, found.records)))
    const rowGroup = Math.min(61_440, Math.max(2048, perGroup))
    // A dictionary pays off for codes. For columns of many values, building one takes longer than it saves: a third of
    // the usual limit writes a tenth faster, to files no larger.
    const dictionary = Math.floor(rowGroup / 15)
    // DuckDB reserves a megabyte for the dictionary of each column; with hundreds of columns each gets less.
    const texts = Math.floor(Math.min(1_000_000, 80_000_000 / task.columns.length))
    await duck.run(
      `COPY (${selectCanonical(task, canonical, found)}) TO ${literal(output)}
       (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION V2, ROW_GROUP_SIZE ${rowGroup},
        DICTIONARY_SIZE_LIMIT ${dictionary}, STRING_DICTIONARY_PAGE_SIZE_LIMIT ${texts})`,
    )
    await checkBooks(duck, found, output)
  } finally {
    clearInterval(timer)
  }
}

// The canonical file leaves nothing to interpret: no quotes, no escapes, one kind of line end.
function selectCanonical(task: ParseTask, canonical: string, found: Transcoded): string {
  const written = [...new Set(task.columns.map(({ index }) => index))].sort((a, b) => a - b)
  const types = ['_rec', '_line', '_off'].map((name) => `'${name}':'BIGINT'`)
  types.push(...written.map((index) => `'c${index}':'VARCHAR'`), `'_len':'BIGINT'`)
  const columns = task.columns.map(({ index, name }) => {
    const value = found.brokenColumns.has(index)
      ? // Asking first is cheaper than copying every text: nearly none holds a break. Columns without
        // any are not asked: that alone would take an eighth of the writing.
        `CASE WHEN contains(c${index}, chr(30)) OR contains(c${index}, chr(29)) THEN replace(replace(c${index}, chr(30), chr(10)), chr(29), chr(13)) ELSE c${index} END`
      : `c${index}`
    return `${value} AS ${identifier(name)}`
  })
  // DuckDB's parallel reader loses or rejects rows that are long relative to its buffer (the counts below revealed it),
  // so records of unusual length are read by one thread with a much larger buffer. Usual records need only a small
  // buffer: an eighth of the default saves half the memory.
  const long = found.longest > 100_000
  const lineSize = Math.max(2_000_000, found.longest + 1000)
  const bufferSize = long ? Math.max(32_000_000, 10 * found.longest) : 4_000_000
  return `SELECT _rec, _line, _off, _len, ${columns.join(', ')} FROM read_csv(${literal(canonical)},
    delim='\x1f', quote='', escape='', comment='', header=false, auto_detect=false, new_line='\\n', strict_mode=true,
    ignore_errors=false, nullstr='', max_line_size=${lineSize}, buffer_size=${bufferSize}, parallel=${!long}, columns={${types.join(',')}})`
}

// The Parquet file must contain exactly the records that the scanner counted.
async function checkBooks(duck: Duck, found: Transcoded, output: string): Promise<void> {
  const result = await duck.run(
    `SELECT count(*)::VARCHAR, coalesce(sum(_rec), 0)::VARCHAR FROM read_parquet(${literal(output)})`,
  )
  const [[rows, sum] = []] = await result.getRowsJson()
  const balanced =
    found.records === found.good + found.structural &&
    rows === String(found.good) &&
    sum === String(found.goodSum)
  if (!balanced) {
    const counted = `${found.records} records, ${found.good} good, ${found.structural} rejected, sum ${found.goodSum}`
    throw new EngineError(
      'not_conserved',
      `the counts do not balance: counted ${counted}; written ${rows} rows, sum ${sum}`,
    )
  }
}
