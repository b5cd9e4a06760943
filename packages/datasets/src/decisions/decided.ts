import type { ColumnDecision } from '@aduana/contracts/column-decisions'

/** A cell of the file. */
export interface Example {
  line: number
  text: string
}

/** A decision about a column, with the first cell that supports it, contradicts it, and is ambiguous. */
export interface Decided extends ColumnDecision {
  examples: {
    agreeing: Example | undefined
    contradicting: Example | undefined
    ambiguous: Example | undefined
  }
  /** Why the file cannot be read, as a sentence without its subject. */
  contradiction?: string
  /** The warning about what was assumed. */
  warning?: string
}

/**
 * Returns whether contradicting cells are too many to be slips. Up to one cell in twenty is treated as a slip and
 * rejected; more mean that the file uses another form.
 */
export function outweighs(contradicting: number, agreeing: number): boolean {
  return contradicting * 20 > contradicting + agreeing
}

/** Returns a cell as messages show it. */
export function shownCell(example: Example | undefined): string {
  return example ? `"${example.text}" (line ${example.line})` : 'none'
}
