import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { ArtifactStore } from '@aduana/artifacts/store'
import { RejectLine } from '@aduana/contracts/rejects'
import { piped } from '@aduana/runtime/piped'
import { z } from 'zod'
import { CursorColumn, decodeCursor, encodeCursor, notACursor } from './cursor.ts'
import type { ArtifactLocation } from './jobs.ts'

/** The number of rejects with a reason, and the message of the first of them as an example. */
export interface RejectGroup {
  column: string | null
  code: string
  rejects: number
  example: string
  /** The line of the example; null when there is none. */
  line: number | null
}

/** A line of a file of rejects, and the offset of the line after it in the unpacked file. */
interface PlacedLine {
  line: RejectLine
  next: number
}

/** The offset of the first line of a page. The literal tells it from the cursors of stored rejects. */
const FileCursor = z.tuple([z.literal('file'), CursorColumn.bigint])
const LF = 0x0a
/** Maximum number of rejects that are read to find examples. */
const EXAMPLES_WITHIN = 10_000
const MAX_GROUPS = 100

/**
 * Returns a page of a file of rejects. At most one page is in memory. The part before it is unpacked and skipped.
 * @throws ProblemError `bad_request` when the cursor does not belong to the file
 */
export async function pageOfFile(
  store: ArtifactStore,
  artifact: ArtifactLocation,
  query: { cursor?: string | undefined; limit: number },
): Promise<{ lines: RejectLine[]; next: string | null }> {
  const start = query.cursor === undefined ? 0 : Number(decodeCursor(FileCursor, query.cursor)[1])
  const lines: RejectLine[] = []
  let end = start
  for await (const { line, next } of readLines(await openContent(store, artifact), start)) {
    if (lines.length === query.limit) return { lines, next: encodeCursor(['file', String(end)]) }
    lines.push(line)
    end = next
  }
  return { lines, next: null }
}

/**
 * Returns the reasons in a file of rejects, the most frequent first. `counted` are the counts of the whole file; when it is
 * null, reasons are counted here. Reads rejects until there is an example of each reason, at most 10,000.
 */
export async function groupsOfFile(
  store: ArtifactStore,
  artifact: ArtifactLocation,
  counted: readonly { column: string | null; code: string; count: number }[] | null,
): Promise<RejectGroup[]> {
  const seen = new Map<string, RejectGroup>()
  let read = 0
  for await (const { line } of readLines(await openContent(store, artifact), 0)) {
    for (const { column, code, message } of line.reasons) {
      const group = seen.get(keyOf(column, code))
      if (group) group.rejects += 1
      else seen.set(keyOf(column, code), { column, code, rejects: 1, example: message, line: line.line })
    }
    read += 1
    if (read === EXAMPLES_WITHIN || (counted && seen.size >= counted.length)) break
  }
  const groups = counted
    ? counted.map(({ column, code, count }) => {
        const { example = '', line = null } = seen.get(keyOf(column, code)) ?? {}
        return { column, code, rejects: count, example, line }
      })
    : [...seen.values()]
  return groups.sort((a, b) => b.rejects - a.rejects).slice(0, MAX_GROUPS)
}

/** Returns a stream of the uncompressed content of a file. Destroying it early also closes the stored file. */
export async function openContent(store: ArtifactStore, artifact: ArtifactLocation): Promise<Readable> {
  const stored = await store.open(artifact.key)
  return artifact.packed ? piped(stored, createGunzip()) : stored
}

function keyOf(column: string | null, code: string): string {
  return `${code}\0${column ?? ''}`
}

async function* readLines(content: Readable, start: number): AsyncGenerator<PlacedLine, void, void> {
  let at = 0
  let rest: Buffer[] = []
  for await (const chunk of content as AsyncIterable<Buffer>) {
    let from = Math.min(chunk.length, Math.max(0, start - at))
    for (;;) {
      const end = chunk.indexOf(LF, from)
      if (end < 0) break
      const text = Buffer.concat([...rest, chunk.subarray(from, end)]).toString('utf8')
      rest = []
      from = end + 1
      yield { line: parseLine(text, start), next: at + from }
    }
    if (from < chunk.length) rest.push(Buffer.from(chunk.subarray(from)))
    at += chunk.length
  }
}

/** @throws ProblemError `bad_request` when the text is not a line, because `start` is inside one */
function parseLine(text: string, start: number): RejectLine {
  try {
    return RejectLine.parse(JSON.parse(text))
  } catch (error) {
    if (start === 0) throw error
    throw notACursor()
  }
}
