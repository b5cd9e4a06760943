import { cleanCode } from '@aduana/contracts/characters'
import {
  type Column,
  type DatasetDefinition,
  maxLengthOf,
  type TextColumn,
} from '@aduana/contracts/dataset-definition'
import type { CatalogueTable } from './catalogue.ts'
import { isCode } from './codes.ts'
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
/** No other value that a load writes takes more in an index: the hash of a row does, as a text. */
const OTHER_VALUE = 33
/** Bytes that UTF-8 takes for a character at most. */
export const MOST_OF_CHARACTER = 4
/**
 * Scope values are in indexes of the program itself: those of windows, owners of days and metrics. An entry of the latter
 * has room for a company and a warehouse of 255 characters each, beside the code of a metric.
 */
const MOST_OF_SCOPE = 255 * MOST_OF_CHARACTER

/** The limits that good records of a definition could exceed in the tables of a catalogue. */
export function byteLimits(definition: DatasetDefinition, catalogue: readonly CatalogueTable[]): ByteLimit[] {
  const columns = fileColumns(definition)
  const longest = new Map(columns.map((column) => [column.name, mostBytes(definition, column)]))
  return indexLimits(definition, catalogue).filter(
    (limit) => limit.columns.reduce((sum, name) => sum + (longest.get(name) ?? 0), 0) > limit.most,
  )
}

/** The limits of all indexes that hold texts of a definition, whatever lengths it allows. */
export function indexLimits(
  definition: DatasetDefinition,
  catalogue: readonly CatalogueTable[],
): ByteLimit[] {
  return [
    ...scopeLimits(definition),
    ...targetLimits(definition, catalogue),
    ...fileColumns(definition).flatMap((column) => dimensionLimits(column, catalogue)),
  ]
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

function mostBytes(definition: DatasetDefinition, column: Column): number {
  if (column.type !== 'text') return 0
  return Math.min(maxLengthOf(column) * MOST_OF_CHARACTER, longestWord(definition, column))
}

/** Returns the bytes of the longest text in the `enum` of a column, as it is stored; infinity without one. */
export function longestWord(definition: DatasetDefinition, column: TextColumn): number {
  if (!column.enum) return Infinity
  const words = isCode(definition, column) ? column.enum.map(cleanCode) : column.enum
  return Math.max(...words.map((word) => Buffer.byteLength(word)))
}
