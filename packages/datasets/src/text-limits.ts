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
 * The limit on the total length of some texts of a record. PostgreSQL limits the entries of indexes, and the program the
 * names of companies and warehouses, regardless of the columns. A record beyond such a limit would fail the whole file.
 */
export interface TextLimit {
  /** Text columns of the definition. */
  columns: readonly string[]
  most: number
  unit: 'bytes' | 'characters'
  /** Where the limit comes from, for the message: `an entry of the index "orders_pkey"`. */
  what: string
}

/** An entry of a B-tree index takes at most a third of a page (`BTMaxItemSize`), its header and bitmap included. */
const MAX_INDEX_BYTES = 2704 - 16
/** Bytes for the length of a text and its alignment. */
const TEXT_HEADER = 8
/** The maximum bytes of any other value that a load writes into an index: those of the hash of a row, as text. */
const OTHER_VALUE = 33
/** Maximum bytes of a character in UTF-8. */
export const MAX_BYTES_OF_CHARACTER = 4
/** A replace scope is also stored in indexes of the program itself: those of windows and of the owners of days. */
const MAX_SCOPE_BYTES = 255 * MAX_BYTES_OF_CHARACTER
/** Metrics, their events and the rights of users limit the codes of companies and warehouses to this many characters. */
const MAX_COMPANY_LENGTH = 100

/** Returns the limits that good records of a definition could exceed in the tables of a catalogue. */
export function textLimits(definition: DatasetDefinition, catalogue: readonly CatalogueTable[]): TextLimit[] {
  const columns = new Map(fileColumns(definition).map((column) => [column.name, column]))
  const longest = (name: string, unit: TextLimit['unit']) => {
    const column = columns.get(name)
    return column?.type === 'text' ? mostOf(definition, column, unit) : 0
  }
  return allTextLimits(definition, catalogue).filter(
    (limit) => limit.columns.reduce((sum, name) => sum + longest(name, limit.unit), 0) > limit.most,
  )
}

/** Returns all limits on texts of a definition, regardless of the lengths that it allows. */
export function allTextLimits(
  definition: DatasetDefinition,
  catalogue: readonly CatalogueTable[],
): TextLimit[] {
  return [
    ...scopeLimits(definition),
    ...targetLimits(definition, catalogue),
    ...fileColumns(definition).flatMap((column) => dimensionLimits(column, catalogue)),
  ]
}

function scopeLimits({ scope, replaceScope }: DatasetDefinition): TextLimit[] {
  const companies = [...new Set([scope?.company, scope?.warehouse])].flatMap((name) => name ?? [])
  const part = replaceScope === undefined || companies.includes(replaceScope) ? [] : [replaceScope]
  return [
    ...companies.map((name): TextLimit => {
      const what = 'the name of a company or warehouse'
      return { columns: [name], most: MAX_COMPANY_LENGTH, unit: 'characters', what }
    }),
    ...part.map((name): TextLimit => {
      return { columns: [name], most: MAX_SCOPE_BYTES, unit: 'bytes', what: 'a value of replaceScope' }
    }),
  ]
}

function targetLimits(definition: DatasetDefinition, catalogue: readonly CatalogueTable[]): TextLimit[] {
  const { schema, name } = definition.table
  const table = catalogue.find((entry) => entry.schema === schema && entry.name === name)
  const texts = new Map(
    targetColumns(definition).flatMap(({ role, name: loaded, source }): [string, string][] =>
      role === 'value' && source.type === 'text' ? [[loaded, source.name]] : [],
    ),
  )
  return (table?.indexes ?? []).flatMap((index) => {
    const its = index.columns.flatMap((column) => texts.get(column) ?? [])
    return its.length === 0 ? [] : [limitOfIndex(index, its)]
  })
}

/** New codes are written into the indexes of their dimension. */
function dimensionLimits(column: Column, catalogue: readonly CatalogueTable[]): TextLimit[] {
  const dimension = column.type === 'text' ? column.dimension : undefined
  if (dimension?.onMissing !== 'create') return []
  const table = catalogue.find(({ schema, name }) => schema === 'public' && name === dimension.table)
  return (table?.indexes ?? [])
    .filter((index) => index.columns.includes(dimension.key))
    .map((index) => limitOfIndex(index, [column.name]))
}

function limitOfIndex({ name, columns: all }: CatalogueTable['indexes'][number], texts: string[]): TextLimit {
  const others = all.length - texts.length
  const most = MAX_INDEX_BYTES - texts.length * TEXT_HEADER - others * OTHER_VALUE
  return { columns: texts, most, unit: 'bytes', what: `an entry of the index "${name}"` }
}

function mostOf(definition: DatasetDefinition, column: TextColumn, unit: TextLimit['unit']): number {
  const each = unit === 'bytes' ? MAX_BYTES_OF_CHARACTER : 1
  return Math.min(maxLengthOf(column) * each, longestWord(definition, column, unit))
}

/** Returns the length of the longest text in the `enum` of a column, as it is stored; infinity without an `enum`. */
export function longestWord(
  definition: DatasetDefinition,
  column: TextColumn,
  unit: TextLimit['unit'],
): number {
  if (!column.enum) return Infinity
  const words = isCode(definition, column) ? column.enum.map(cleanCode) : column.enum
  return Math.max(...words.map((word) => (unit === 'bytes' ? Buffer.byteLength(word) : [...word].length)))
}
