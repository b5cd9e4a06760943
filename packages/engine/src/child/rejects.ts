import { rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { showInvisible } from '@aduana/contracts/characters'
import { z } from 'zod'
import { EngineError } from '../errors.ts'
import { createPackedFile, type PackedFile } from '../packed-file.ts'
import type { RejectsResult, rejectsTask } from '../protocol.ts'
import { type Cutter, openCutter } from '../raw-records.ts'
import type { InvalidUnit } from '../utf16.ts'
import { pathInside, type TaskContext, withDuck } from './context.ts'
import { literal, openDuck } from './duck.ts'
import { type LineCursor, openLines } from './lines.ts'

const place = z.number().int().nonnegative()
const reasons = z.array(
  z.object({
    column: z.string().nullable(),
    code: z.string(),
    message: z.string(),
    value: z.string().nullable(),
  }),
)
const reject = z.object({ record: place, line: place, offset: place, length: place, reasons })
type Reject = z.infer<typeof reject>

/** The share of the task's time that the selection takes. */
const SELECTED = 0.3
const AT_START = { phase: 'select', bytesDone: 0, bytesTotal: 0, rows: 0 }

/**
 * Writes every reject of a file, structural or by rule, in file order, as lines of `{record, line, offset, length,
 * reasons, raw, rawTruncated}`, compressed by gzip; with `most`, only the first ones. Offset and length refer to the
 * original after unpacking, in bytes as received. Both inputs are sorted by record number and merged, so memory does
 * not grow with their number. The texts are cut from the original in one pass.
 */
export async function writeRejects(
  task: z.infer<typeof rejectsTask>,
  context: TaskContext,
): Promise<RejectsResult> {
  const output = await pathInside(task.workDir, task.output)
  const byRule = await selectFailed(task, context)
  const newOutput = join(context.tempDir, 'rejects-all.ndjson')
  const closing: (() => Promise<void>)[] = []
  const held = <T>(one: T, close: (one: T) => Promise<void>): T => {
    closing.push(() => close(one))
    return one
  }
  const close = (one: { close(): Promise<void> }) => one.close()
  try {
    const source = { path: task.original, format: task.format, encoding: task.encoding }
    const cutter = held(openCutter(source, task.maxRawBytes), close)
    const structural = held(await openLines(task.structural, (value) => reject.parse(value)), close)
    const failed = held(await openLines(byRule, (value) => reject.parse(value)), close)
    const file = held(createPackedFile(newOutput), (one) => one.abandon())
    const bytesTotal = task.format === 'plain' ? (await stat(task.original)).size : 0
    const counts = await mergeInto(file, cutter, structural, failed, context, { bytesTotal, most: task.most })
    const content = await file.finish()
    await rename(newOutput, output)
    return { ...counts, content }
  } finally {
    await Promise.all(closing.map((end) => end()))
  }
}

/** Writes the rows that failed by a rule to a file of lines sorted by record number. Returns null if there are none. */
async function selectFailed(
  { workDir, sql, params }: z.infer<typeof rejectsTask>,
  context: TaskContext,
): Promise<string | null> {
  if (sql === null) return null
  const lines = join(context.tempDir, 'by-rule.ndjson.gz')
  const duck = await openDuck(workDir, context.tempDir, context.limits)
  await withDuck(duck, context, async () => {
    const select = `SELECT _rec AS record, _line AS line, _off AS "offset", _len AS length, CAST(reasons AS JSON) AS reasons
      FROM (${sql}) ORDER BY _rec`
    const timer = setInterval(
      () => context.report({ ...AT_START, fraction: (duck.percentage() / 100) * SELECTED }),
      150,
    )
    try {
      await duck.run(`COPY (${select}) TO ${literal(lines)} (FORMAT json, COMPRESSION gzip)`, params)
    } finally {
      clearInterval(timer)
    }
  })
  return lines
}

async function mergeInto(
  file: PackedFile,
  cutter: Cutter,
  structural: LineCursor<Reject>,
  byRule: LineCursor<Reject>,
  context: TaskContext,
  { bytesTotal, most }: { bytesTotal: number; most: z.infer<typeof rejectsTask>['most'] },
): Promise<Omit<RejectsResult, 'content'>> {
  const tally = new Map<string, RejectsResult['counts'][number]>()
  const result = { total: 0, structural: 0 }
  let lines: string[] = []
  let size = 0
  let written = 0
  // One write is in flight while the next lines are prepared.
  let writing: Promise<void> = Promise.resolve()
  const flush = async (bytesDone: number) => {
    const text = lines.join('')
    lines = []
    size = 0
    await writing
    writing = file.write(text)
    // The next flush or the caller's last one reports the error.
    writing.catch(() => undefined)
    if (context.signal.aborted) throw new EngineError('aborted', 'the task was aborted')
    const share = bytesTotal > 0 ? Math.min(1, bytesDone / bytesTotal) : 0
    const fraction = SELECTED + (1 - SELECTED) * share
    context.report({ phase: 'write', bytesDone, bytesTotal, rows: result.total, fraction })
  }
  for (;;) {
    const [left, right] = [structural.current, byRule.current]
    const next = left && (!right || left.record < right.record) ? left : right
    if (!next || (most && result.total >= most.rejects)) break
    if (left && left.record === right?.record) {
      throw new EngineError('not_conserved', `record ${left.record} is both a structural reject and a row`)
    }
    const { record, line, offset, length } = next
    // The message is for people; the value next to it stays unchanged.
    const why = next.reasons.map((one) => ({ ...one, message: showInvisible(one.message) }))
    // No await if the text is at hand: a million awaits would cost seconds.
    const cut = cutter.cut(offset, length)
    const found = cut instanceof Promise ? await cut : cut
    const { offset: place, length: bytes, raw, truncated } = found
    const all = inOriginal(why, found.invalid)
    const told = { record, line, offset: place, length: bytes, reasons: all, raw, rawTruncated: truncated }
    const text = `${JSON.stringify(told)}\n`
    written += Buffer.byteLength(text)
    if (most && written > most.bytes) break
    for (const { column, code } of why) count(tally, column, code)
    result.total++
    if (next === left) result.structural++
    lines.push(text)
    size += text.length
    if (size > 1 << 20) await flush(offset)
    const advanced = (next === left ? structural : byRule).advance()
    if (advanced) await advanced
  }
  await flush(bytesTotal)
  await writing
  return { ...result, counts: [...tally.values()].sort((a, b) => b.count - a.count) }
}

// The scanner saw the decoded bytes of UTF-16; users look for the bytes of the file.
function inOriginal(reasons: Reject['reasons'], invalid: InvalidUnit | null): Reject['reasons'] {
  if (!invalid) return reasons
  const what = {
    lone_surrogate: 'the unpaired surrogate',
    half_unit: 'the incomplete last character',
  }[invalid.kind]
  const message = `${what} at offset ${invalid.offset} of the file is not valid UTF-16`
  return reasons.map((reason) =>
    reason.code === 'invalid_utf8' ? { ...reason, message, value: null } : reason,
  )
}

function count(
  tally: Map<string, RejectsResult['counts'][number]>,
  column: string | null,
  code: string,
): void {
  const key = `${code}\0${column ?? ''}`
  const entry = tally.get(key)
  if (entry) entry.count++
  else tally.set(key, { column, code, count: 1 })
}
