import type { ScanOptions } from '../scan/options.ts'
import { createScanner, type ScanCounts } from '../scan/scanner.ts'
import type { NaiveRecord } from './naive-scanner.ts'

/** Returns a seeded source of integers in `[0, below)`. */
export function randomSource(seed: number): (below: number) => number {
  let state = (seed * 2654435761) >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** Scans bytes in chunks and returns both outputs as text. */
export function scanText(
  bytes: Buffer,
  options: ScanOptions,
  chunkSize: () => number,
): { canonical: Buffer; rejects: string[]; counts: ScanCounts } {
  const scanner = createScanner(options)
  const canonical: Buffer[] = []
  const rejects: string[] = []
  const take = () => {
    const taken = scanner.takeCanonical()
    canonical.push(Buffer.from(taken))
    scanner.giveBack(taken)
    rejects.push(...scanner.takeRejects())
  }
  const drain = () => {
    while (scanner.scan() === 'full') take()
  }
  for (let at = options.startOffset; at < bytes.length; ) {
    const chunk = bytes.subarray(at, at + chunkSize())
    for (let fed = 0; fed < chunk.length; ) {
      fed += scanner.feed(chunk.subarray(fed))
      drain()
    }
    at += chunk.length
  }
  scanner.finish()
  drain()
  take()
  return { canonical: Buffer.concat(canonical), rejects, counts: scanner.counts() }
}

/** Returns the scanner's outputs in the naive reader's form, in order of record number. */
export function scanAll(
  bytes: Buffer,
  options: ScanOptions,
  chunkSize: () => number,
): { records: NaiveRecord[]; skipped: number; padding: number } {
  const { canonical, rejects, counts } = scanText(bytes, options, chunkSize)
  const lines = canonical.length === 0 ? [] : canonical.toString().slice(0, -1).split('\n')
  const written = [...new Set(options.columns)].sort((a, b) => a - b)
  const good = lines.map((text): NaiveRecord => {
    const parts = text.split('\x1f')
    const [record, line, offset] = parts.map(Number)
    const fields = parts.slice(3, -1).map((field) => field.replaceAll('\x1e', '\n').replaceAll('\x1d', '\r'))
    const byColumn = new Map(written.map((column, i) => [column, fields[i] ?? '']))
    return {
      record: record ?? 0,
      line: line ?? 0,
      offset: offset ?? 0,
      length: Number(parts.at(-1)),
      fields: options.columns.map((column) => byColumn.get(column) ?? ''),
    }
  })
  const bad = rejects.map((text): NaiveRecord => {
    const { record, line, offset, length, reasons } = JSON.parse(text)
    return { record, line, offset, length, codes: reasons.map((reason: { code: string }) => reason.code) }
  })
  const records = [...good, ...bad].sort((a, b) => a.record - b.record)
  const sum = good.reduce((total, { record }) => total + BigInt(record), 0n)
  if (counts.records !== records.length || counts.good !== good.length || counts.goodSum !== sum) {
    throw new Error(
      `the counts do not agree with the output: ${counts.records} ${counts.good} ${counts.goodSum}`,
    )
  }
  return { records, skipped: counts.skipped, padding: counts.padding }
}
