import { DatasetDefinition, type DatasetDefinitionInput } from '@aduana/contracts/dataset-definition'

/** A definition that appends to a table `things`, with what a test is about. */
export function definitionWith(
  columns: DatasetDefinitionInput['columns'],
  more: Partial<DatasetDefinitionInput> = {},
): DatasetDefinition {
  return DatasetDefinition.parse({
    code: 'things',
    title: { en: 'Things', es: 'Cosas' },
    table: { name: 'things' },
    columns,
    loadMode: 'append',
    ...more,
  })
}

export type ColumnInput = DatasetDefinitionInput['columns'][number]
