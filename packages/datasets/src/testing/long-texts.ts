import { randomInt } from 'node:crypto'

/** Returns a text of so many characters of four bytes each, which neither cleaning nor compression makes shorter. */
export function wideText(characters: number): string {
  return Array.from({ length: characters }, () => String.fromCodePoint(randomInt(0xf0000, 0xffffe))).join('')
}
