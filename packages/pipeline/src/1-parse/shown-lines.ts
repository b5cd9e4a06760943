import { showInvisible } from '@aduana/contracts/characters'

const SHOWN_LINES = 5
const SHOWN_CHARACTERS = 100

/** Formats the first few lines of a file with their numbers: `"P1;Uno" (line 1) and 3 more`. */
export function linesAndTexts(lines: readonly { line: number; text: string }[]): string {
  const shown = lines
    .slice(0, SHOWN_LINES)
    .map(({ line, text }) => `"${showInvisible(text.slice(0, SHOWN_CHARACTERS))}" (line ${line})`)
  const left = lines.length - shown.length
  return `${shown.join(', ')}${left > 0 ? ` and ${left} more` : ''}`
}

/** Returns the name of a delimiter, for use in a sentence. */
export function delimiterName(delimiter: string): string {
  if (delimiter === '\t') return 'a tab'
  return delimiter === ' ' ? 'a space' : `"${delimiter}"`
}
