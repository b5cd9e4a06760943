import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { StringDecoder } from 'node:string_decoder'
import type { DatasetDefinition, LoadMode } from '@aduana/contracts/dataset-definition'
import { type DayRange, nextDay } from '@aduana/contracts/dates'
import { counted } from '@aduana/contracts/figures'
import { RejectLine } from '@aduana/contracts/rejects'
import { asFields, sendAgain } from '@aduana/contracts/send-again'
import { jsonb, replaceUnstorable } from '@aduana/db/jsonb'
import { arrayText } from '@aduana/db/literals'
import { readUnpacked } from '@aduana/engine/packed-file'
import { failPoint } from '@aduana/runtime/fail-points'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import type { ImportFacts } from './stage.ts'

/**
 * Returns true if an import fails because of its rejects: their share exceeds the dataset's limit, or no clean record
 * is left.
 */
export function failsForRejects(
  { maxRejectRatio }: Pick<DatasetDefinition, 'maxRejectRatio'>,
  { records, rejected, clean }: { records: number; rejected: number; clean: number },
): boolean {
  // A file without records gets this far only if its sender declared zero records.
  if (records === 0) return false
  return clean === 0 || rejected / records > maxRejectRatio
}

const MAX_DECIMALS = 9

/**
 * Formats a share and the limit above which it is as percentages, with enough decimals that the text does not
 * contradict the comparison: 20.004 % is not "20.0 %" when 20 % are allowed, and 99.98 % is not "100.0 %".
 */
export function shareAbove(share: number, limit: number): { share: string; limit: string } {
  const allowed = percentage(limit)
  // For shares below one percent: the first digit that is not zero.
  const least = share < 0.01 ? -Math.floor(Math.log10(share * 100)) : 1
  for (let decimals = least; decimals < MAX_DECIMALS; decimals += 1) {
    const text = (share * 100).toFixed(decimals)
    if (Number(text) > Number(allowed) && (share === 1 || Number(text) < 100))
      return { share: `${text} %`, limit: `${allowed} %` }
  }
  return { share: `${percentage(share)} %`, limit: `${allowed} %` }
}

/** Formats a share as a percentage with the decimals that it has, at most nine. */
export function percentage(share: number): string {
  return String(Number((share * 100).toFixed(MAX_DECIMALS)))
}

/**
 * Returns a hint that records of the day declared as `to` are outside the window, and how to send the file with that
 * day included. `failed`: nothing of the file was loaded, so it can be sent again directly.
 */
export function windowEndHint(
  { from, to }: DayRange,
  records: number,
  { mode, failed }: { mode: LoadMode; failed: boolean },
): string {
  const fields = { from, to: nextDay(to) }
  const again = failed ? `send the file again with ${asFields(fields)}` : sendAgain(mode, fields)
  return `The end of the window (to) is exclusive, so ${counted(records, 'record')} of ${to} ${records === 1 ? 'is' : 'are'} outside the window. If the window includes ${to}, ${again}.`
}

/**
 * Number of rejects kept for an import that fails because of them. Reading continues up to this number: correcting a
 * file takes examples, not all rejects.
 */
export const MAX_REJECTS_OF_FAILED = 10_000

/** Returns the maximum number and bytes of rejects kept for a file that fails because of them. */
export function maxRejectsOfFailed(unpackedBytes: number): { rejects: number; bytes: number } {
  return { rejects: MAX_REJECTS_OF_FAILED, bytes: maxRejectBytes(unpackedBytes) }
}

/** Maximum size of rejects for each unpacked byte of their file; the floor applies to small files. */
const BYTES_PER_BYTE = 8
const BYTES_FLOOR = 1024 * 1024

/** Returns the maximum size in bytes, before compression, of the rejects kept for a file with this many unpacked bytes. */
function maxRejectBytes(unpackedBytes: number): number {
  return Math.max(BYTES_FLOOR, unpackedBytes * BYTES_PER_BYTE)
}

const COLUMNS =
  'id, job_id, dataset_id, record, line, byte_offset, byte_length, codes, columns, reasons, raw, raw_truncated'

/**
 * Stores the rejects of a file with this many unpacked bytes, in the transaction of `client`, in place of those that an
 * earlier try stored. Stores at most the dataset's limit of them, and at most `maxRejectBytes`. Returns the
 * number stored.
 */
export async function storeRejects(
  client: pg.PoolClient,
  facts: ImportFacts,
  path: string,
  unpackedBytes: number,
  signal: AbortSignal,
): Promise<number> {
  await client.query('delete from quarantined_records where job_id = $1', [facts.jobId])
  const copy = client.query(copyFrom(`copy quarantined_records (${COLUMNS}) from stdin`))
  await pipeline(Readable.from(copyLines(facts, path, maxRejectBytes(unpackedBytes))), copy, { signal })
  await failPoint('quarantine.after-copy')
  return copy.rowCount
}

async function* copyLines(facts: ImportFacts, path: string, mostBytes: number): AsyncGenerator<string> {
  let stored = 0
  let bytes = 0
  for await (const line of readLines(path)) {
    bytes += Buffer.byteLength(line)
    if (stored >= facts.definition.quarantineCap || bytes > mostBytes) break
    yield copyLine(facts, RejectLine.parse(JSON.parse(line)))
    stored += 1
  }
}

/** Yields the lines of an NDJSON file, compressed or not. Node's readline also splits at U+2028, which JSON may contain. */
async function* readLines(path: string): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const chunk of readUnpacked(path)) {
    const parts = (rest + decoder.write(chunk)).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
  if (rest !== '') yield rest
}

function copyLine(facts: ImportFacts, reject: RejectLine): string {
  const id = (BigInt(facts.importNo) << 32n) | BigInt(reject.record)
  const codes = [...new Set(reject.reasons.map((reason) => reason.code))]
  const columns = [...new Set(reject.reasons.flatMap((reason) => reason.column ?? []))]
  const fields = [
    id.toString(),
    facts.jobId,
    facts.datasetId,
    String(reject.record),
    String(reject.line),
    nullable(reject.offset),
    nullable(reject.length),
    arrayText(codes),
    arrayText(columns),
    // PostgreSQL cannot store every character; the downloadable file keeps the original.
    jsonb(reject.reasons),
    replaceUnstorable(reject.raw),
    reject.rawTruncated ? 't' : 'f',
  ]
  return `${fields.map((field) => (field === null ? '\\N' : escapeField(field))).join('\t')}\n`
}

function nullable(number: number | null): string | null {
  return number === null ? null : String(number)
}

/** Escapes a field for COPY's text format (https://www.postgresql.org/docs/current/sql-copy.html). */
function escapeField(text: string): string {
  return text.replace(/[\\\n\r\t]/g, (character) => {
    switch (character) {
      case '\n':
        return '\\n'
      case '\r':
        return '\\r'
      case '\t':
        return '\\t'
      default:
        return '\\\\'
    }
  })
}
