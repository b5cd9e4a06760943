import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'

/**
 * Where rows belong under a definition: by which column and in which time zone they have their day, and which columns
 * say their replace scope, company and warehouse. Of two definitions that agree in this, windows, owners of days and
 * places of changes mean the same.
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
