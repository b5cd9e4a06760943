import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'

/** An error in a definition, as a sentence, and the path of the part that it concerns: `columns[2]`. */
export interface PlacedProblem {
  path: string
  message: string
}

/** Returns the problems of one part. */
export function at(path: string, messages: readonly string[]): PlacedProblem[] {
  return messages.map((message) => ({ path, message }))
}

/** Returns the path of a column by its name. */
export function columnPath(definition: DatasetDefinition, name: string | undefined): string {
  const index = definition.columns.findIndex((column) => column.name === name)
  return index < 0 ? 'columns' : `columns[${index}]`
}
