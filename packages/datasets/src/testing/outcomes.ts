import { expect } from 'vitest'
import { type ColumnInput, definitionWith } from './definitions.ts'
import { validate } from './validate.ts'

/** The clean value (as text), or the codes of the reasons, of each cell of a one-column file. */
async function outcomes(column: ColumnInput, cells: readonly string[]) {
  const definition = definitionWith([{ name: 'line', type: 'integer', required: true }, column])
  const records = cells.map((cell, index) => ({ line: String(index + 1), [column.name]: cell }))
  const { clean, bad, totals } = await validate(definition, records)
  expect(totals.good + totals.rejected).toBe(cells.length)
  return cells.map((_, index) => {
    const row = clean.find(({ _rec }) => _rec === String(index + 1))
    if (row) return row[column.name]
    return bad.find(({ record }) => record === index + 1)?.reasons.map(({ code }) => code)
  })
}

/** Runs a table of cell → outcome. */
export async function expectOutcomes(column: ColumnInput, table: [string, string | null | string[]][]) {
  const found = await outcomes(
    column,
    table.map(([cell]) => cell),
  )
  expect(table.map(([cell], index) => [cell, found[index]])).toEqual(table)
}
