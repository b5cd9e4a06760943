/*
 * A signature of letters alone proves nothing: a text may begin with them. Such a kind is recognised by more of its
 * structure, or by a control character that soon follows in its format and never occurs in text.
 */

interface Signature {
  readonly found: string
  /** The first bytes of the file, in Latin-1. */
  readonly begins: string
  /** A control character must be among this many bytes that follow. */
  readonly controlWithin?: number
  /** A further condition on the bytes. */
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
  // Its header has the size of the image in four bytes, nearly always followed by a zero.
  { found: 'a GIF image', begins: 'GIF87a', controlWithin: 7 },
  { found: 'a GIF image', begins: 'GIF89a', controlWithin: 7 },
  { found: 'a program (ELF)', begins: '\x7fELF' },
  { found: 'a program (Windows)', begins: 'MZ', controlWithin: 2 },
  { found: 'an Excel 97 workbook (.xls)', begins: '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1' },
  { found: 'a Zstandard archive', begins: '\x28\xb5\x2f\xfd' },
  // The digits of pi begin a block, those of its square root the end; a checksum and a number below a million follow.
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

/** Returns the kind of a file that is not text, judged by its first bytes; null if they match no known kind. */
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

/**
 * Returns true for a tar archive: it begins with a header that contains its own checksum, the sum of its bytes, in
 * octal digits.
 */
function isTar(bytes: Uint8Array): boolean {
  if (bytes.length < TAR_HEADER || bytes[0] === 0) return false
  const stated = /^ *([0-7]{1,7})[\0 ]/.exec(latin1(bytes, TAR_CHECKSUM, TAR_CHECKSUM + 8))?.[1]
  if (stated === undefined) return false
  let sum = 0
  for (let at = 0; at < TAR_HEADER; at++)
    sum += at >= TAR_CHECKSUM && at < TAR_CHECKSUM + 8 ? 0x20 : (bytes[at] ?? 0)
  return Number.parseInt(stated, 8) === sum
}

/** Returns true for a workbook: a zip whose first entries have these names, readable in the local headers. */
function isWorkbook(bytes: Uint8Array): boolean {
  const names = latin1(bytes, 0, 4096)
  return names.includes('[Content_Types].xml') || names.includes('xl/')
}

/** Returns true if `[from, end)` contains a control character that never occurs in text. */
function hasControl(bytes: Uint8Array, from: number, end: number): boolean {
  return bytes.subarray(from, end).some(isControl)
}

/** Returns true if a byte is a control character other than white space. */
export function isControl(byte: number): boolean {
  return byte < 0x09 || (byte > 0x0d && byte < 0x20)
}

function latin1(bytes: Uint8Array, from: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(from, end))
}
