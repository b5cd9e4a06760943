import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { StringDecoder } from 'node:string_decoder'
import { RejectLine } from '@aduana/contracts/rejects'
import { jsonb, replaceUnstorable } from '@aduana/db/jsonb'
import { arrayText } from '@aduana/db/literals'
import { readUnpacked } from '@aduana/engine/packed-file'
import { failPoint } from '@aduana/runtime/fail-points'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import type { ImportFacts } from './import-facts.ts'
import { maxRejectBytes } from './reject-limits.ts'

const COLUMNS =
  'id, job_id, dataset_id, record, line, byte_offset, byte_length, codes, columns, reasons, raw, raw_truncated'

/**
 * Stores the rejects of a file with this many unpacked bytes, in the transaction of `client`, in place of those that an
 * earlier try stored. Stores at most the dataset's limit of them, and at most `mostRejectBytes` bytes. Returns the
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
