import { DIGIT, FIRST_HIGH, LOWER, OTHER, UPPER } from './census.ts'
import { CODE_POINTS, type CodePage, isDefined } from './code-pages.ts'

/*
 * How plausible is this character between these neighbours in a text in a western European language? Scores are rough
 * logarithms: 0 is ordinary, and each point less is about three times as rare.
 */

/** At this score or below, a character indicates the wrong encoding. */
export const ODD = -4

const NEVER = -8
const SYMBOL = FIRST_HIGH

type Kind = typeof OTHER | typeof DIGIT | typeof LOWER | typeof UPPER | typeof SYMBOL
type Judge = (before: Kind, after: Kind) => number

const isLetter = (kind: Kind) => kind === LOWER || kind === UPPER

/** Scores a sign by whether a letter is before it, after it, or on both sides. */
function beside({
  none = 0,
  before = 0,
  after = 0,
  both,
}: {
  none?: number
  before?: number
  after?: number
  both: number
}): Judge {
  return (left, right) =>
    isLetter(left) ? (isLetter(right) ? both : before) : isLetter(right) ? after : none
}

const ordinal: Judge = (left, right) => {
  if (isLetter(right)) return isLetter(left) ? -6 : left === DIGIT ? 0 : -1
  return left === OTHER || left === SYMBOL ? -0.5 : 0
}

const noBreakSpace: Judge = (left, right) => {
  if (left === LOWER && right === LOWER) return -2
  return (left === OTHER || left === SYMBOL) && isLetter(right) ? -0.5 : 0
}

/** Signs by their usual position in a text. All other signs belong to tables, formulas or other scripts. */
const SIGNS: readonly (readonly [signs: string, judge: Judge])[] = [
  ['ºª°²³¹', ordinal],
  ['¿¡“‘', beside({ both: -6, before: -3 })],
  ['«»', beside({ both: -6 })],
  ['„‚‹§', beside({ none: -1, after: -1, both: -6, before: -3 })],
  ['’', beside({ both: 0, none: -0.5, after: -0.5 })],
  ['´', beside({ both: -0.5, none: -0.5, before: -0.5, after: -0.5 })],
  ['”›®™', beside({ both: -6, after: -3 })],
  ['…', beside({ both: -2, after: -0.5 })],
  ['‰†‡', beside({ none: -1, before: -1, both: -6, after: -3 })],
  ['€', beside({ both: -6, before: -0.5, after: -0.5 })],
  ['£', beside({ both: -6, before: -2, after: -1 })],
  ['¥¢', beside({ none: -1, both: -6, before: -2, after: -2 })],
  ['–—•', beside({ both: -4, before: -1, after: -1 })],
  ['·×', beside({ both: -2, before: -1, after: -1 })],
  ['±÷', beside({ both: -6, before: -2, after: -2 })],
  ['µ', beside({ both: -4, before: -4 })],
  ['½¼¾', beside({ both: -6, before: -4, after: -3 })],
  ['©', beside({ both: -6, before: -3 })],
  // windows-1252 has these where newer encodings have the euro sign.
  ['¤', beside({ none: -4, before: -4, after: -4, both: -6 })],
  ['¶¬¦¨¯¸\u02c6\u02dc', beside({ none: -2, both: -6, before: -3, after: -3 })],
  ['\u00a0', noBreakSpace],
  ['\u00ad', beside({ none: -3, before: -3, after: -3, both: -2 })],
]
const FOREIGN_SIGN = beside({ none: -2, before: -5, after: -5, both: -7 })

/** Letters by how common they are; all others belong to other scripts or old forms. */
const LETTERS: readonly (readonly [letters: string, score: number])[] = [
  ['áéíóúñüçãõàèêâôäößÁÉÍÓÚÑÜÇÃÕÀÄÖÊÂÔ', 0],
  ['òïîœ', -0.5],
  ['åæøÅÆØŒ', -1],
  ['ìùûëÈÌÙÎÛËÏÒýÿšžŠŽ', -1.5],
  ['ðþÐÞÝŸı', -3],
]
const FOREIGN_LETTER = -5

function letterScore(letter: string): number {
  return LETTERS.find(([letters]) => letters.includes(letter))?.[1] ?? FOREIGN_LETTER
}

/** Scores a letter by the case of its neighbours. */
function caseScore(isUpper: boolean, left: Kind, right: Kind): number {
  const digits = left === DIGIT || right === DIGIT ? -1 : 0
  if (isUpper) return (left === LOWER ? -3 : left === UPPER && right === LOWER ? -1 : 0) + digits
  // ÁREA becomes áREA in programs that change the case of ASCII letters only.
  if (right === UPPER) return (left === LOWER ? -1 : -1.5) + digits
  if (isLetter(right)) return digits
  return (left === UPPER || !isLetter(left) ? -0.5 : 0) + digits
}

/** The plausibility of the bytes of a text in a code page. */
export interface Plausibility {
  /** Returns the score of a byte (from 0x80 on) between two neighbours of a census. */
  score(before: number, byte: number, after: number): number
}

/** Prepares the scores of a code page. */
export function plausibilityOf(page: CodePage): Plausibility {
  const characters = Array.from({ length: 128 }, (_, i) =>
    String.fromCharCode(CODE_POINTS[page][0x80 + i] ?? 0),
  )
  const kinds = characters.map(kindOf)
  const judges = characters.map((character, i) => judgeOf(character, isDefined(page, 0x80 + i)))
  const kind = (neighbour: number): Kind =>
    neighbour >= FIRST_HIGH ? (kinds[neighbour - FIRST_HIGH] ?? OTHER) : asKind(neighbour)
  const isHighLetter = (neighbour: number) => neighbour >= FIRST_HIGH && isLetter(kind(neighbour))
  return {
    score(before, byte, after) {
      const judge = judges[byte - 0x80]
      if (!judge) return NEVER
      const accents = (isHighLetter(before) ? 1 : 0) + (isHighLetter(after) ? 1 : 0)
      const crowded = isLetter(kinds[byte - 0x80] ?? OTHER) ? accents : 0
      return judge(kind(before), kind(after)) + (crowded === 2 ? -4 : crowded * -0.5)
    },
  }
}

function asKind(neighbour: number): Kind {
  return neighbour === DIGIT ? DIGIT : neighbour === LOWER ? LOWER : neighbour === UPPER ? UPPER : OTHER
}

function kindOf(character: string): Kind {
  if (/[\s’´]/u.test(character)) return OTHER
  if (/[ºª]/u.test(character)) return SYMBOL
  if (/\p{Lu}/u.test(character)) return UPPER
  return /\p{L}/u.test(character) ? LOWER : SYMBOL
}

function judgeOf(character: string, defined: boolean): Judge {
  if (!defined) return () => NEVER
  const sign = SIGNS.find(([signs]) => signs.includes(character))
  if (sign) return sign[1]
  const kind = kindOf(character)
  if (!isLetter(kind)) return FOREIGN_SIGN
  const common = letterScore(character)
  // Some are rare except at the end of words: PERÒ, PIÙ, È.
  const last = Math.min(0, common + 1.5)
  return (left, right) => (isLetter(right) ? common : last) + caseScore(kind === UPPER, left, right)
}
