import { decodeText } from '../text.ts'
import type { Sample } from './census.ts'

const ENGLISH_ENDING = /^(s|t|d|m|n|re|ll|ve|all|em)$/i
const ELISION = /^(l|d|n|s|m|t|c|j|qu|un|o|\p{L}*ll|\p{L}*qu|\p{L}*st|anch|nient|senz|aujourd|entr|tutt)$/iu
const VOWEL = /^[haeiouyàáâãäåæèéêëìíîïòóôõöœùúûü]/i

/**
 * Returns true if the apostrophe of a sample in windows-1252 is in a plausible position: `don’t`, `l’anno`, `O’Brien`.
 * In MacRoman the same byte is an í, which appears in other positions: `Garc’a`, `l’nea`.
 */
export function isApostrophe({ bytes, at }: Sample): boolean {
  const [before = ''] = /\p{L}*$/u.exec(decodeText(bytes.subarray(0, at), 'windows-1252')) ?? []
  const [after = ''] = /^\p{L}*/u.exec(decodeText(bytes.subarray(at + 1), 'windows-1252')) ?? []
  if (before === '' || after === '' || before === 'O') return true
  return ENGLISH_ENDING.test(after) || (ELISION.test(before) && VOWEL.test(after))
}
