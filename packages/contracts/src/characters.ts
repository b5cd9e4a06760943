type Range = readonly [first: number, last: number]

/**
 * Invisible characters: Unicode's default-ignorable code points and format characters, except the few format characters
 * that are drawn around numbers. A test compares the list with Unicode's properties.
 */
const IGNORABLE: readonly Range[] = [
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x202a, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff0, 0xfffb],
  [0x13430, 0x1343f],
  [0x1bca0, 0x1bca3],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe0fff],
]

/** All spaces except U+0020, and the line and paragraph separators. */
const BLANKS: readonly Range[] = [
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
]

/**
 * All characters above U+00FF that normalisation (NFC) may change or that are in one of the lists above, and some of their
 * neighbours. A text without any of these is normalised.
 */
const UNSETTLED: readonly Range[] = [
  [0x300, 0x387],
  [0x483, 0x489],
  [0x530, 0x200f],
  [0x2028, 0x202f],
  [0x205f, 0x206f],
  [0x20d0, 0x20ff],
  [0x2126, 0x212b],
  [0x2329, 0x232a],
  [0x2adc, 0x2adc],
  [0x2cef, 0x2cf1],
  [0x2d70, 0x2dff],
  [0x3000, 0x3000],
  [0x302a, 0x302f],
  [0x3099, 0x309a],
  [0x3164, 0x3164],
  [0xa66f, 0xa6f1],
  [0xa802, 0xabff],
  [0xd7a4, 0xff00],
  [0xffa0, 0xffa0],
  [0xffdd, 0x1efff],
  [0x2f800, 0x2fa1f],
  [0xe0000, 0x10ffff],
]

/** Further invisible characters: control characters and the blank Braille pattern. */
const UNSEEN: readonly Range[] = [
  [0x0, 0x8],
  [0xb, 0xc],
  [0xe, 0x1f],
  [0x7f, 0x9f],
  [0x2800, 0x2800],
]

/** The lists as character classes, without brackets, for RE2 and for JavaScript with the flag `u`. */
export const CHARACTERS = {
  ignorable: characterClass(IGNORABLE),
  /** Without the soft hyphen, which some programs display as a minus sign. */
  ignorableInNumbers: characterClass(IGNORABLE.slice(1)),
  blanks: characterClass(BLANKS),
  unsettled: characterClass(UNSETTLED),
  invisible: characterClass([...UNSEEN, ...IGNORABLE, ...BLANKS]),
} as const

/** A character class in both notations. */
export interface CharacterClass {
  re2: string
  js: string
}

function characterClass(ranges: readonly Range[]): CharacterClass {
  const hex = (point: number) => point.toString(16).toUpperCase()
  const write = (mark: string) =>
    ranges
      .map(([first, last]) => [first, ...(last > first ? [last] : [])])
      .map((ends) => ends.map((point) => `${mark}{${hex(point)}}`).join('-'))
      .join('')
  return { re2: write('\\x'), js: write('\\u') }
}

/**
 * Returns a code as it is compared and stored: without invisible characters, every kind of space as a blank, normalised
 * (NFC), without outer white space. The rules do the same to the cells of a file.
 */
export function cleanCode(text: string): string {
  return text
    .replace(new RegExp(`[${CHARACTERS.ignorable.js}]`, 'gu'), '')
    .replace(new RegExp(`[${CHARACTERS.blanks.js}]`, 'gu'), ' ')
    .normalize('NFC')
    .replace(/^[ \t\n\r]+|[ \t\n\r]+$/g, '')
}

const INVISIBLE = new RegExp(`[${CHARACTERS.invisible.js}]`, 'gu')

/** Returns a text for display: invisible characters are written as `<U+200B>`. Line ends, tabs and blanks are kept. */
export function showInvisible(text: string): string {
  return text.replace(INVISIBLE, codePoint)
}

function codePoint(character: string): string {
  return `<U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}>`
}
