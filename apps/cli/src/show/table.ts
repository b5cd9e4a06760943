import { showInvisible } from '@aduana/contracts/characters'

/** A column of a table: its heading, and whether it is right-aligned. */
export interface TableColumn {
  title: string
  right?: boolean
}

/** A plain table, columns as wide as their widest cell, two blanks apart, no blanks at the ends of lines. */
export function renderTable(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string {
  const cell = (row: readonly string[], index: number) => printable(row[index] ?? '')
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => [...cell(row, index)].length)),
  )
  const line = (row: readonly string[]) =>
    columns
      .map(({ right }, index) => {
        const text = cell(row, index)
        const blanks = ' '.repeat((widths[index] ?? 0) - [...text].length)
        return right ? blanks + text : text + blanks
      })
      .join('  ')
      .trimEnd()
  return [columns.map(({ title }) => title), ...rows].map(line).join('\n')
}

/**
 * A text from a file as it can be shown in one line: a control character would move the cursor, or worse, and one that is
 * not seen is written out as `<U+200B>`.
 */
export function printable(text: string): string {
  return showInvisible(text).replace(/[\n\r\t]/g, (character) => ({ '\n': '⏎', '\t': ' ' })[character] ?? '')
}

/** Truncates a text to a number of characters and marks the truncation. */
export function shortened(text: string, length: number): string {
  const characters = [...text]
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`
}
