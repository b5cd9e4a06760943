import type { ColumnDecision } from '@aduana/contracts/column-decisions'

/** A cell of the file. */
export interface Example {
  line: number
  text: string
}

/** A decision about a column, with the first cells that speak for it, against it, and for neither. */
export interface Decided extends ColumnDecision {
  examples: {
    agreeing: Example | undefined
    contradicting: Example | undefined
    ambiguous: Example | undefined
  }
  /** Why the file cannot be read at all, as a sentence without its subject. */
  contradiction?: string
  /** The warning about what had to be assumed. */
  warning?: string
}

/** Up to one cell in twenty may be a slip, which is a reject. More of them say that the file is written otherwise. */
export function outweighs(contradicting: number, agreeing: number): boolean {
  return contradicting * 20 > contradicting + agreeing
}

/** A cell as messages show it. */
export function shownCell(example: Example | undefined): string {
  return example ? `"${example.text}" (line ${example.line})` : 'none'
}
