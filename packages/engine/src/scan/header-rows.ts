import { normaliseName } from '../header-name.ts'
import { isBom, isSpace, noBreakSpace } from '../marks.ts'
import { readRow } from '../row.ts'
import { type ByteEncoding, decodeText } from '../text.ts'

/** A header and what its cells mean. */
export interface HeaderNames {
  /** The cells as written. */
  readonly cells: readonly string[]
  /** Normalised header text → the column that it names. */
  readonly names: Readonly<Record<string, string>>
  /** Its physical line, from 1. */
  readonly line: number
  /** Number of cells, including blank ones at its end. */
  readonly width: number
}

/** The data needed to recognise a row that names columns. */
export interface HeaderMatcher {
  /** Normalised cells of the header. */
  readonly cells: readonly string[]
  readonly line: number
  readonly width: number
  readonly names: ReadonlyMap<string, string>
  /** 1 for each byte with which a name may begin, and for those that are skipped before a name. */
  readonly heads: Uint8Array
  /** 1 for each hash (16 bits) of a name. */
  readonly hashes: Uint8Array
  readonly delimiter: number
  /** The bytes of a no-break space, which is skipped like other blanks. */
  readonly space: readonly number[]
}

/** How a record is written. */
interface Readable {
  readonly header: HeaderMatcher | null
  readonly delimiter: number
  readonly quote: number
  readonly encoding: ByteEncoding
}

/**
 * The kind of a row that names columns: the same header again, perhaps with aliases of its columns (`aliases`), or
 * another one.
 */
export type HeaderRow = { kind: 'same' | 'other'; cells: string[]; aliases: boolean }

// Returns letters without case, digits, and the bytes of other scripts; 0 for bytes that are skipped.
const FOLD = Uint8Array.from({ length: 256 }, (_, byte) => {
  const lower = byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte
  const isName = (lower >= 0x61 && lower <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte >= 0x80
  return isName ? lower : 0
})

/** Prepares the recognition of a header and of other rows of known names. */
export function compileHeader(
  { cells, names, line, width }: HeaderNames,
  encoding: ByteEncoding,
  delimiter: number,
): HeaderMatcher {
  const heads = FOLD.map((folded) => (folded === 0 ? 1 : 0))
  const hashes = new Uint8Array(1 << 16)
  const encode = encoderOf(encoding)
  const space = noBreakSpace(encoding)
  const spellings = [...cells, ...Object.keys(names)].flatMap((name) => [
    name,
    name.toLowerCase(),
    name.toUpperCase(),
    normaliseName(name),
  ])
  for (const spelling of spellings) {
    const bytes = encode(spelling)
    const first = bytes.find((byte) => FOLD[byte] !== 0)
    if (first === undefined) continue
    heads[first] = 1
    hashes[hashOfName(bytes, 0, bytes.length, { delimiter, space })] = 1
  }
  return {
    cells: cells.map(normaliseName),
    line,
    width,
    names: new Map(Object.entries(names)),
    heads,
    hashes,
    delimiter,
    space,
  }
}

// Omits characters that the encoding lacks.
function encoderOf(encoding: ByteEncoding): (text: string) => Uint8Array {
  if (encoding === 'utf-8') return (text) => Buffer.from(text)
  const bytes = new Map(
    Array.from({ length: 256 }, (_, byte) => [decodeText(Uint8Array.of(byte), encoding), byte] as const),
  )
  return (text) => Uint8Array.from([...text].flatMap((sign) => bytes.get(sign) ?? []))
}

/**
 * Returns false for nearly every record that is not a header, judged by its first cell with a value. It is cheap: the
 * fast loop calls it for each record that begins like a name.
 */
export function mayBeHeader(
  header: HeaderMatcher | null,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  return header !== null && header.hashes[hashOfName(bytes, start, end, header)] === 1
}

function hashOfName(
  bytes: Uint8Array,
  start: number,
  end: number,
  { delimiter, space }: Pick<HeaderMatcher, 'delimiter' | 'space'>,
): number {
  let hash = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === delimiter) {
      if (hash !== 0) break
      continue
    }
    const folded = FOLD[byte] as number
    if (folded === 0) continue
    if (folded >= 0x80 && isSpace(bytes, at, end, space)) at += space.length - 1
    else if (folded >= 0x80 && hash === 0 && isBom(bytes, at, end)) at += 2
    else hash = (Math.imul(hash, 31) + folded) | 0
  }
  return (hash ^ (hash >>> 16)) & 0xffff
}

/**
 * Returns the kind of a record that names columns, or null. `same`: every cell names the same column as the header's,
 * possibly by another name. `other`: it has at least half as many cells as the header, each the name of another column,
 * in another order.
 */
export function headerRowOf(record: Uint8Array, dialect: Readable): HeaderRow | null {
  const { header, delimiter, quote, encoding } = dialect
  if (!header) return null
  if (!mayBeHeader(header, record, 0, record.length)) return null
  const row = readRow({ head: record, encoding, complete: true, delimiter, quote }, 0, 1)
  if (!row) return null
  const found = row.cells.map(normaliseName)
  const aliases = found.some((name, at) => name !== header.cells[at])
  if (isSame(found, header)) return { kind: 'same', cells: row.cells, aliases }
  return isOther(found, header) ? { kind: 'other', cells: row.cells, aliases } : null
}

function isSame(found: readonly string[], { cells, names }: HeaderMatcher): boolean {
  // A single value may also happen to be another name of its column.
  const several = found.filter((name) => name !== '').length > 1
  return (
    found.length === cells.length &&
    found.every((name, at) => {
      const own = cells[at] ?? ''
      const column = names.get(own)
      return name === own || (several && column !== undefined && names.get(name) === column)
    })
  )
}

function isOther(found: readonly string[], { cells, names }: HeaderMatcher): boolean {
  const filled = found.filter((name) => name !== '')
  const columns = new Set(filled.flatMap((name) => names.get(name) ?? []))
  return (
    filled.every((name) => names.has(name) || cells.includes(name)) &&
    new Set(filled).size === filled.length &&
    columns.size > 1 &&
    columns.size * 2 >= cells.length
  )
}
