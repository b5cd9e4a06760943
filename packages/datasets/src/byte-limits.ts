import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { CatalogueTable } from './catalogue.ts'
import { fileColumns } from './header.ts'
import { targetColumns } from './target.ts'

/**
 * The number of bytes that some texts of a record may have together. PostgreSQL limits the entries of indexes, whatever
 * the columns allow. A record beyond such a limit would fail the whole file.
 */
export interface ByteLimit {
  /** Text columns of the definition. */
  columns: readonly string[]
  most: number
  /** Where the limit comes from, for the message: `an entry of the index "orders_pkey"`. */
  what: string
}

/** An entry of a B-tree index takes a third of a page (`BTMaxItemSize`), its header and bitmap included. */
const MOST_OF_INDEX = 2704 - 16
/** The length of a text and what aligns it. */
const TEXT_HEADER = 8
/** No other value takes more in an index. */
const OTHER_VALUE = 24
/** Scope values are in indexes of the program itself: those of windows, owners of days and metrics. */
const MOST_OF_SCOPE = 1000
/** UTF-8 takes no more for a character. */
const MOST_OF_CHARACTER = 4

/** The limits that good records of a definition could exceed in the tables of a catalogue. */
export function byteLimits(definition: DatasetDefinition, catalogue: readonly CatalogueTable[]): ByteLimit[] {
  const columns = fileColumns(definition)
  const longest = new Map(columns.map((column) => [column.name, mostBytes(column)]))
  return [
    ...scopeLimits(definition),
    ...targetLimits(definition, catalogue),
    ...columns.flatMap((column) => dimensionLimits(column, catalogue)),
  ].filter((limit) => limit.columns.reduce((sum, name) => sum + (longest.get(name) ?? 0), 0) > limit.most)
}

function scopeLimits({ scope, replaceScope }: DatasetDefinition): ByteLimit[] {
  const names = new Set([scope?.company, scope?.warehouse, replaceScope])
  return [...names].flatMap((name) =>
    name === undefined ? [] : [{ columns: [name], most: MOST_OF_SCOPE, what: 'a value of a scope' }],
  )
}

function targetLimits(definition: DatasetDefinition, catalogue: readonly CatalogueTable[]): ByteLimit[] {
  const { schema, name } = definition.table
  const table = catalogue.find((entry) => entry.schema === schema && entry.name === name)
  const texts = new Map(
    targetColumns(definition).flatMap(({ role, name: loaded, source }): [string, string][] =>
      role === 'value' && source.type === 'text' ? [[loaded, source.name]] : [],
    ),
  )
  return (table?.indexes ?? []).flatMap((index) => {
    const its = index.columns.flatMap((column) => texts.get(column) ?? [])
    const others = index.columns.length - its.length
    const most = MOST_OF_INDEX - its.length * TEXT_HEADER - others * OTHER_VALUE
    return its.length === 0 ? [] : [{ columns: its, most, what: `an entry of the index "${index.name}"` }]
  })
}

/** A code that its dimension does not know is written into the indexes of the dimension. */
function dimensionLimits(column: Column, catalogue: readonly CatalogueTable[]): ByteLimit[] {
  const dimension = column.type === 'text' ? column.dimension : undefined
  if (dimension?.onMissing !== 'create') return []
  const table = catalogue.find(({ schema, name }) => schema === 'public' && name === dimension.table)
  return (table?.indexes ?? [])
    .filter((index) => index.columns.includes(dimension.key))
    .map((index) => ({
      columns: [column.name],
      most: MOST_OF_INDEX - TEXT_HEADER - (index.columns.length - 1) * OTHER_VALUE,
      what: `an entry of the index "${index.name}"`,
    }))
}

function mostBytes(column: Column): number {
  if (column.type !== 'text') return 0
  const most = column.maxLength * MOST_OF_CHARACTER
  return column.enum ? Math.min(most, Math.max(...column.enum.map((word) => Buffer.byteLength(word)))) : most
}
