import type { JobFailure } from '@aduana/contracts/failures'
import type { FileLayout } from '@aduana/contracts/rejects'
import { knownHeaders } from '@aduana/datasets/header'
import type { DialectResult } from '@aduana/engine/dialect'
import { type Inspection, inspectDialect } from '@aduana/engine/inspect'
import type { EngineTasks } from '@aduana/engine/larger'
import { isWithin } from '@aduana/engine/measure'
import type { ParseResult } from '@aduana/engine/protocol'
import type { Encoding } from '@aduana/engine/text'
import { MAX_REJECTS_OF_FAILED } from '../rejects.ts'
import { engineOf, SMALL_FILE, type StageJob } from '../stage.ts'
import { type Layout, layoutOfFile, readLayout } from './layout.ts'

type Readable = Exclude<Layout, { failure: JobFailure }>

/** The records of a file, the layout they were read with, and the engine that read them. */
export interface ReadRecords {
  layout: Readable
  /** The layout as stored with the import. */
  file: FileLayout
  parsed: ParseResult
  engine: EngineTasks
}

/** Where to write the records and the structural rejects of a file. */
export interface ParsedFiles {
  parsed: string
  structural: string
}

/**
 * Reads the records of `original` into `files`. The layout is detected from the beginning of the file, the encoding
 * from all of it. If they disagree, the layout is detected again in the right encoding.
 */
export async function readRecords(
  job: StageJob,
  original: string,
  files: ParsedFiles,
): Promise<ReadRecords | { failure: JobFailure }> {
  const first = await layoutIn(job, original, declaredEncoding(job))
  if ('failure' in first.layout) return first.layout
  const { layout } = first
  const { format } = layout.reading
  const engine = engineOf(job.context, await isWithin({ path: original, format }, SMALL_FILE))
  const parsed = await runParse(job, engine, original, files, layout)
  if (parsed.encoding === encodingOf(first.inspection))
    return { layout, file: layoutOfFile(first.inspection, first.result, parsed), parsed, engine }
  const second = await layoutIn(job, original, parsed.encoding)
  if ('failure' in second.layout) return second.layout
  const file = layoutOfFile(second.inspection, second.result, parsed)
  if (readsAlike(layout, second.layout)) return { layout: second.layout, file, parsed, engine }
  const again = await runParse(job, engine, original, files, second.layout)
  return { layout: second.layout, file, parsed: { ...again, encodingDoubt: parsed.encodingDoubt }, engine }
}

function encodingOf(inspection: Inspection): Encoding | undefined {
  return inspection.kind === 'csv' ? inspection.encoding : undefined
}

function declaredEncoding({ facts }: StageJob): Encoding | undefined {
  // Like browsers, read iso-8859-1 as windows-1252, a superset of its printable characters.
  return facts.encoding === 'iso-8859-1' ? 'windows-1252' : (facts.encoding ?? undefined)
}

async function layoutIn(
  { facts: { definition, delimiter } }: StageJob,
  original: string,
  encoding: Encoding | undefined,
): Promise<{ layout: Layout; inspection: Inspection; result: DialectResult | null }> {
  const { inspection, result } = await inspectDialect(original, {
    knownNames: knownHeaders(definition),
    ...(delimiter === null ? {} : { delimiter }),
    ...(encoding === undefined ? {} : { encoding }),
  })
  return { layout: readLayout(definition, inspection, result), inspection, result }
}

async function runParse(
  { context, facts, folder, report, signal }: StageJob,
  engine: EngineTasks,
  original: string,
  files: ParsedFiles,
  { reading }: Readable,
): Promise<ParseResult> {
  return engine.parse(
    {
      workDir: folder,
      input: original,
      output: files.parsed,
      rejects: files.structural,
      ...reading,
      limits: {
        maxBytes: context.maxUnpackedBytes,
        rejects: { share: facts.definition.maxRejectRatio, floor: MAX_REJECTS_OF_FAILED },
      },
    },
    {
      signal,
      onProgress: ({ fraction, rows }) =>
        report({ fraction, message: 'Reading the file', ...(rows > 0 ? { processedItems: rows } : {}) }),
    },
  )
}

/** Returns true if two layouts find the same columns in the same places. */
function readsAlike(one: Readable, other: Readable): boolean {
  const places = ({ reading }: Readable) => JSON.stringify({ ...reading, encoding: null })
  return places(one) === places(other)
}
