import { lit } from '../literals.ts'

/** A boolean SQL expression: the whole text matches the pattern. */
export function fullMatch(text: string, pattern: string): string {
  return `regexp_full_match(${text}, ${lit(pattern)})`
}
