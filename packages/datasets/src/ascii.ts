import type { TextColumn } from '@aduana/contracts/dataset-definition'

/**
 * Patterns built only from ASCII characters, lists of them, quantifiers and groups. Dots, negations, properties and
 * flags are excluded because they can match other characters: `(?i)k` matches the Kelvin sign.
 */
const ASCII_PATTERN =
  /^(?:[ -')-\-/-Z\]-~]|\((?:\?:|(?!\?))|\\(?:[dws]|[!-/:-@[-`{-~])|\[(?!\^)(?:[ -Z^-~]|\\(?:[dws]|[!-/:-@[-`{-~]))+\])*$/

/** Returns whether the rules of a column guarantee ASCII, so that each character takes one byte. */
export function isAscii({ normalise, pattern }: Pick<TextColumn, 'normalise' | 'pattern'>): boolean {
  return normalise.includes('digits-only') || (pattern !== undefined && ASCII_PATTERN.test(pattern))
}
