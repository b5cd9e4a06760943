import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'

/**
 * Returns a text that identifies how a definition places rows: the column and time zone of their day, and the columns of
 * their replace scope, company and warehouse. If it is equal for two definitions, windows, owners of days and places of
 * changes mean the same under both.
 */
export function placementOf(definition: DatasetDefinition): string {
  const column = (name: string | undefined) => {
    const found = definition.columns.find((candidate) => candidate.name === name)
    if (!found) return null
    const dimension = found.type === 'text' ? found.dimension : undefined
    return [found.name, found.type, found.type === 'timestamp' ? found.timeZone : null, dimension ?? null]
  }
  const { windowColumn, replaceScope, scope } = definition
  return JSON.stringify([windowColumn, replaceScope, scope?.company, scope?.warehouse].map(column))
}
