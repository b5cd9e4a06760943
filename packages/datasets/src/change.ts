import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DatasetProblem } from '@aduana/contracts/datasets'
import type { CatalogueTable } from './catalogue.ts'
import { definitionProblems } from './check.ts'
import { fitProblems } from './fit.ts'
import { keyLengthProblems } from './key-lengths.ts'

/** What a definition is checked against. */
export interface ChangeContext {
  /** The current definition; undefined for a new dataset. */
  before: DatasetDefinition | undefined
  /** Its table and its dimension tables, as they exist in the database. */
  catalogue: readonly CatalogueTable[]
  /** The other dataset that loads into its table, if there is one. */
  tableOf: string | undefined
}

/** Returns everything that prevents a well-formed definition from being saved; empty if it can be saved. */
export function changeProblems(
  definition: DatasetDefinition,
  { before, catalogue, tableOf }: ChangeContext,
): DatasetProblem[] {
  return [
    ...(before ? fixedProblems(definition, before) : additionProblems(definition, catalogue, tableOf)),
    ...dimensionTables(definition),
    ...definitionProblems(definition).map((problem) => ({ ...problem, code: 'contradiction' as const })),
    ...fitProblems(definition, catalogue).map((problem) => ({ ...problem, code: 'table_differs' as const })),
    ...keyLengthProblems(definition, catalogue, before).map((problem) => ({
      ...problem,
      code: 'key_too_long' as const,
    })),
  ]
}

/** A change may not alter these parts of a definition. */
function fixedProblems(definition: DatasetDefinition, before: DatasetDefinition): DatasetProblem[] {
  const { schema, name } = before.table
  const moved = definition.table.schema !== schema || definition.table.name !== name
  const upsert = before.loadMode === 'upsert'
  return [
    ...fixed(moved, 'table', `The table of a dataset cannot be changed. It is "${schema}.${name}".`),
    ...fixed(
      (definition.loadMode === 'upsert') !== upsert,
      'loadMode',
      upsert
        ? 'The load mode "upsert" of a dataset cannot be changed.'
        : 'The load mode of a dataset cannot become "upsert". Use "replace-window" or "append".',
    ),
    ...fixed(
      definition.origin !== before.origin,
      'origin',
      `The origin of a dataset cannot be changed. It is "${before.origin}".`,
    ),
    ...fixed(
      before.origin === 'runs' && differsBeyondKeeping(definition, before),
      '',
      'Aduana itself uses this dataset. Only its title and its retention can be changed.',
    ),
  ]
}

function differsBeyondKeeping(definition: DatasetDefinition, before: DatasetDefinition): boolean {
  const { title, retention } = before
  return (
    JSON.stringify({ ...definition, title, retention }) !== JSON.stringify({ ...before, title, retention })
  )
}

/** A new dataset needs an existing table that no other dataset and no part of the program uses. */
function additionProblems(
  { table, origin }: DatasetDefinition,
  catalogue: readonly CatalogueTable[],
  tableOf: string | undefined,
): DatasetProblem[] {
  const found = catalogue.find(({ schema, name }) => schema === table.schema && name === table.name)
  const problems: DatasetProblem[] = []
  if (isProgramSchema(table.schema))
    problems.push({
      path: 'table.schema',
      code: 'program_table',
      message: `The schema "${table.schema}" belongs to Aduana or to the server. Use a table of another schema.`,
    })
  if (found?.isPart)
    problems.push({
      path: 'table',
      code: 'program_table',
      message: `"${table.schema}.${table.name}" is a partition of another table. Use the partitioned table.`,
    })
  if (tableOf !== undefined)
    problems.push({
      path: 'table',
      code: 'table_taken',
      message: `The dataset "${tableOf}" already loads into "${table.schema}.${table.name}". Use another table.`,
    })
  if (found && !found.writable)
    problems.push({
      path: 'table',
      code: 'not_writable',
      message: `The database role of Aduana lacks rights on "${table.schema}.${table.name}". Grant it USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on the table.`,
    })
  return [...problems, ...fixed(origin !== 'files', 'origin', 'The origin of a new dataset must be "files".')]
}

/** Codes are looked up in, and added to, dimension tables only. */
function dimensionTables(definition: DatasetDefinition): DatasetProblem[] {
  return definition.columns.flatMap((column, index): DatasetProblem[] =>
    column.type === 'text' && column.dimension && !column.dimension.table.startsWith('dim_')
      ? [
          {
            path: `columns[${index}].dimension.table`,
            code: 'program_table',
            message: `"${column.dimension.table}" is not a dimension table. Names of dimension tables begin with "dim_".`,
          },
        ]
      : [],
  )
}

function isProgramSchema(schema: string): boolean {
  return schema === 'public' || schema === 'information_schema' || schema.startsWith('pg_')
}

function fixed(broken: boolean, path: string, message: string): DatasetProblem[] {
  return broken ? [{ path, code: 'fixed', message }] : []
}
