import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'

/** What is wrong, in a sentence, and with which part of a definition: `columns[2]`. */
export interface PlacedProblem {
  path: string
  message: string
}

/** Problems of one part. */
export function at(path: string, messages: readonly string[]): PlacedProblem[] {
  return messages.map((message) => ({ path, message }))
}

/** The path of a column by its name. */
export function columnPath(definition: DatasetDefinition, name: string | undefined): string {
  const index = definition.columns.findIndex((column) => column.name === name)
  return index < 0 ? 'columns' : `columns[${index}]`
}
