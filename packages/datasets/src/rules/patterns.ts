import { lit } from '../literals.ts'

/** Returns SQL that is true if the whole text matches the pattern. */
export function fullMatch(text: string, pattern: string): string {
  return `regexp_full_match(${text}, ${lit(pattern)})`
}
