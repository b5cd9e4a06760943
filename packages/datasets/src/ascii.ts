import type { TextColumn } from '@aduana/contracts/dataset-definition'

/**
 * Patterns of which every part is a character of ASCII, a list of such characters, or a quantifier or group. Dots,
 * negations, properties and flags (`(?i)k` matches the Kelvin sign) could match others.
 */
const ASCII_PATTERN =
  /^(?:[ -')-\-/-Z\]-~]|\((?:\?:|(?!\?))|\\(?:[dws]|[!-/:-@[-`{-~])|\[(?!\^)(?:[ -Z^-~]|\\(?:[dws]|[!-/:-@[-`{-~]))+\])*$/

/** Returns whether the rules of a column are certain to admit only ASCII, so that a character is a byte. */
export function isAscii({ normalise, pattern }: Pick<TextColumn, 'normalise' | 'pattern'>): boolean {
  return normalise.includes('digits-only') || (pattern !== undefined && ASCII_PATTERN.test(pattern))
}
