import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { fileColumns } from './header.ts'
import { at, columnPath, type PlacedProblem } from './placed-problems.ts'
import { targetColumns } from './target.ts'

/** The days of a hundred years. It limits the length of statements that list each day of a window. */
const MAX_WINDOW_DAYS = 36_525

/** Returns the problems of columns in their roles in a load: each must exist, have a suitable type, and be required if rows depend on it. */
export function roleProblems(definition: DatasetDefinition): PlacedProblem[] {
  const { key = [], unique, sortBy, windowColumn, versionColumn, replaceScope, scope } = definition
  const named = (names: readonly (string | undefined)[], role: string) =>
    names.flatMap((name): [Column, string][] => {
      const found = definition.columns.find((column) => column.name === name)
      return found ? [[found, role]] : []
    })
  const needed = [
    ...named(key, 'key'),
    ...named(unique?.columns ?? [], 'unique'),
    ...named(sortBy, 'sortBy'),
    ...named([windowColumn], 'windowColumn'),
    ...named([versionColumn], 'versionColumn'),
    ...named([replaceScope], 'replaceScope'),
    ...named([scope?.company, scope?.warehouse], 'scope'),
  ]
  const optional = named([...key, replaceScope], '').filter(([column]) => !column.required)
  const scopes = named([replaceScope], 'replace scope').concat(
    named([scope?.company, scope?.warehouse], 'scope'),
  )
  const problem = ({ name }: Column, message: string) => ({
    path: columnPath(definition, name),
    message: `column "${name}" ${message}`,
  })
  return [
    ...needed
      .filter(([column]) => column.managed)
      .map(([column, role]) => problem(column, `is managed, so it cannot be used in ${role}`)),
    ...definition.columns
      .filter((column) => column.managed && column.type === 'text' && column.dimension)
      .map((column) => problem(column, 'is managed, so its codes cannot be looked up')),
    ...optional.map(([column]) => problem(column, 'identifies rows and must be required')),
    ...scopes
      .filter(([column]) => !isPlainText(column))
      .map(([column, role]) => problem(column, `must be a text column without a dimension to be a ${role}`)),
    ...named([versionColumn], '')
      .filter(([column]) => column.type === 'text' && column.dimension)
      .map(([column]) => problem(column, 'has a dimension, so it cannot be the version column')),
    ...at(
      'columns',
      fileColumns(definition).length === 0 ? ['all columns are managed, so none is read from files'] : [],
    ),
    ...windowProblems(definition),
  ]
}

function isPlainText(column: Column): boolean {
  return column.type === 'text' && column.dimension === undefined
}

function windowProblems({ loadMode, windowColumn, maxWindowDays }: DatasetDefinition): PlacedProblem[] {
  return [
    ...at(
      'windowColumn',
      loadMode === 'replace-window' && windowColumn === undefined
        ? ['the load mode "replace-window" requires a window column']
        : [],
    ),
    ...at(
      'maxWindowDays',
      maxWindowDays > MAX_WINDOW_DAYS ? [`must be at most ${MAX_WINDOW_DAYS} days`] : [],
    ),
  ]
}

/** Returns the columns of the table that would be written twice. */
export function targetProblems(definition: DatasetDefinition): PlacedProblem[] {
  const names = targetColumns(definition).map(({ name }) => name)
  const twice = names.filter((name, index) => names.indexOf(name) < index)
  const others = definition.columns.filter(({ managed }) => managed).map(({ name }) => name)
  const { loadedAtColumn } = definition
  return [
    ...at(
      'columns',
      twice.map((name) => `the load fills the column "${name}" of the table twice`),
    ),
    ...at(
      'columns',
      others
        .filter((name) => names.includes(name))
        .map((name) => `the load fills the managed column "${name}" of the table`),
    ),
    ...at(
      'loadedAtColumn',
      loadedAtColumn !== undefined && [...names, ...others].includes(loadedAtColumn)
        ? [
            `the column "${loadedAtColumn}" of the table cannot hold the time of the load, because it holds another value`,
          ]
        : [],
    ),
  ]
}
