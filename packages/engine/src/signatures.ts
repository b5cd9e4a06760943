/*
 * A signature made of letters alone proves nothing: a text may begin with them. Such a kind is recognised by more of its
 * structure, or by a control character that its format has soon after and no text has.
 */

interface Signature {
  readonly found: string
  /** What the file begins with, in Latin-1. */
  readonly begins: string
  /** A control character must stand among this many bytes that follow. */
  readonly controlWithin?: number
  /** What the bytes must be beside that. */
  readonly fits?: (bytes: Uint8Array) => boolean
}

const SIGNATURES: readonly Signature[] = [
  {
    found: 'a PDF document',
    begins: '%PDF-',
    fits: (bytes) => /^%PDF-\d\.\d(?![\w;,|\t])/.test(latin1(bytes, 0, 32)),
  },
  { found: 'a Parquet file', begins: 'PAR1', controlWithin: 16 },
  { found: 'a Parquet file', begins: 'PARE', controlWithin: 16 },
  { found: 'a PNG image', begins: '\x89PNG\r\n\x1a\n' },
  { found: 'a JPEG image', begins: '\xff\xd8\xff', fits: (bytes) => (bytes[3] ?? 0) >= 0xc0 },
  // Its header has the size of the image in four bytes, and nearly always a zero after that.
  { found: 'a GIF image', begins: 'GIF87a', controlWithin: 7 },
  { found: 'a GIF image', begins: 'GIF89a', controlWithin: 7 },
  { found: 'a program (ELF)', begins: '\x7fELF' },
  { found: 'a program (Windows)', begins: 'MZ', controlWithin: 2 },
  { found: 'an Excel 97 workbook (.xls)', begins: '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1' },
  { found: 'a Zstandard archive', begins: '\x28\xb5\x2f\xfd' },
  // The digits of pi begin a block, those of its root the end; a checksum and a number below a million follow.
  {
    found: 'a bzip2 archive',
    begins: 'BZh',
    fits: (bytes) => /^BZh[1-9]1AY&SY/.test(latin1(bytes, 0, 10)) && hasControl(bytes, 10, 18),
  },
  {
    found: 'a bzip2 archive',
    begins: 'BZh',
    fits: (bytes) => latin1(bytes, 4, 10) === '\x17rE8P\x90',
  },
  { found: 'an xz archive', begins: '\xfd7zXZ\0' },
  { found: 'a 7z archive', begins: '7z\xbc\xaf\x27\x1c' },
  { found: 'a RAR archive', begins: 'Rar!\x1a\x07' },
  { found: 'an SQLite database', begins: 'SQLite format 3\0' },
  { found: 'an Avro file', begins: 'Obj\x01' },
  { found: 'an ORC file', begins: 'ORC', controlWithin: 16 },
  { found: 'UTF-32 text', begins: '\xff\xfe\0\0' },
  { found: 'UTF-32 text', begins: '\0\0\xfe\xff' },
  { found: 'a zip archive', begins: 'PK\x03\x04' },
  { found: 'a zip archive', begins: 'PK\x05\x06' },
]

/** The kind of a file that is no text, by its first bytes; null when they are those of no known kind. */
export function binaryKind(bytes: Uint8Array): string | null {
  if (isTar(bytes)) return 'a tar archive'
  const kind = SIGNATURES.find((signature) => matches(bytes, signature))
  if (kind?.found === 'a zip archive' && isWorkbook(bytes)) return 'an Excel workbook (.xlsx)'
  return kind?.found ?? null
}

function matches(bytes: Uint8Array, { begins, controlWithin, fits }: Signature): boolean {
  if (latin1(bytes, 0, begins.length) !== begins) return false
  if (controlWithin !== undefined && !hasControl(bytes, begins.length, begins.length + controlWithin))
    return false
  return fits ? fits(bytes) : true
}

const TAR_HEADER = 512
const TAR_CHECKSUM = 148

/** A tar archive begins with a header whose checksum, the sum of its bytes, stands in it in octal digits. */
function isTar(bytes: Uint8Array): boolean {
  if (bytes.length < TAR_HEADER || bytes[0] === 0) return false
  const stated = /^ *([0-7]{1,7})[\0 ]/.exec(latin1(bytes, TAR_CHECKSUM, TAR_CHECKSUM + 8))?.[1]
  if (stated === undefined) return false
  let sum = 0
  for (let at = 0; at < TAR_HEADER; at++)
    sum += at >= TAR_CHECKSUM && at < TAR_CHECKSUM + 8 ? 0x20 : (bytes[at] ?? 0)
  return Number.parseInt(stated, 8) === sum
}

/** A workbook is a zip whose first entries are named so; the names stand in clear in the local headers. */
function isWorkbook(bytes: Uint8Array): boolean {
  const names = latin1(bytes, 0, 4096)
  return names.includes('[Content_Types].xml') || names.includes('xl/')
}

/** Whether a control character that no text has stands in `[from, end)`. */
function hasControl(bytes: Uint8Array, from: number, end: number): boolean {
  return bytes.subarray(from, end).some(isControl)
}

/** Whether a byte is a control character other than white space. */
export function isControl(byte: number): boolean {
  return byte < 0x09 || (byte > 0x0d && byte < 0x20)
}

function latin1(bytes: Uint8Array, from: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(from, end))
}
