import { type DatasetDefinition, maxLengthOf, type TextColumn } from '@aduana/contracts/dataset-definition'
import { isAscii } from './ascii.ts'
import type { CatalogueTable } from './catalogue.ts'
import { fileColumns } from './header.ts'
import { columnPath, type PlacedProblem } from './placed-problems.ts'
import { allTextLimits, longestWord, MAX_BYTES_OF_CHARACTER, type TextLimit } from './text-limits.ts'

/**
 * Returns the columns whose declared lengths allow longer texts than an index, or the name of a company, can hold. Columns
 * without a declared length are not counted: only their records are checked against the limit. Problems that `before`, the
 * current definition, already has are not reported.
 */
export function keyLengthProblems(
  definition: DatasetDefinition,
  catalogue: readonly CatalogueTable[],
  before?: DatasetDefinition,
): PlacedProblem[] {
  const known = new Set(before ? tooLong(before, catalogue).map(({ message }) => message) : [])
  return tooLong(definition, catalogue).filter(({ message }) => !known.has(message))
}

/** The maximum length of the texts of a column by its declaration. */
interface WrittenLength {
  column: TextColumn
  /** In the unit of the limit. */
  most: number
  /** Units per character; undefined if the length comes from a list of words. */
  each: number | undefined
}

function tooLong(definition: DatasetDefinition, catalogue: readonly CatalogueTable[]): PlacedProblem[] {
  const columns = new Map(fileColumns(definition).map((column) => [column.name, column]))
  return narrowest(allTextLimits(definition, catalogue)).flatMap((limit) => {
    const lengths = limit.columns.flatMap((name) => {
      const column = columns.get(name)
      return column?.type === 'text' ? (writtenLength(definition, column, limit.unit) ?? []) : []
    })
    return sumOf(lengths) > limit.most ? [problemOf(definition, limit, lengths)] : []
  })
}

function writtenLength(
  definition: DatasetDefinition,
  column: TextColumn,
  unit: TextLimit['unit'],
): WrittenLength | undefined {
  const each = unit === 'characters' || isAscii(column) ? 1 : MAX_BYTES_OF_CHARACTER
  const most = column.maxLength === undefined ? Infinity : column.maxLength * each
  const longest = longestWord(definition, column, unit)
  if (most < longest) return { column, most, each }
  return longest === Infinity ? undefined : { column, most: longest, each: undefined }
}

/** Returns, of several limits on the same columns, only the lowest. */
function narrowest(limits: readonly TextLimit[]): TextLimit[] {
  const room = ({ most, unit }: TextLimit) => (unit === 'bytes' ? most : most * MAX_BYTES_OF_CHARACTER)
  const found = new Map<string, TextLimit>()
  for (const limit of limits) {
    const columns = [...limit.columns].sort().join()
    const other = found.get(columns)
    if (!other || room(limit) < room(other)) found.set(columns, limit)
  }
  return [...found.values()]
}

function problemOf(
  definition: DatasetDefinition,
  { most, unit, what }: TextLimit,
  lengths: readonly WrittenLength[],
): PlacedProblem {
  const place = lengths.find(({ each }) => each !== undefined) ?? lengths[0]
  const part = place?.each === undefined ? 'enum' : 'maxLength'
  const together = lengths.length === 1 ? '' : ' together'
  const subject = lengths.map((length) => shown(length, unit)).join(', ')
  return {
    path: `${columnPath(definition, place?.column.name)}.${part}`,
    message: `${subject} may have ${sumOf(lengths)} ${unit}${together}, but ${what} can have at most ${most}. ${advice(most, lengths)}`,
  }
}

function shown({ column, each }: WrittenLength, unit: TextLimit['unit']): string {
  if (each === undefined) return `"${column.name}" (the words of enum)`
  if (unit === 'characters') return `"${column.name}"`
  return `"${column.name}" (${maxLengthOf(column)} characters of ${each === 1 ? '1 byte' : `up to ${each} bytes`})`
}

function advice(most: number, lengths: readonly WrittenLength[]): string {
  const words = lengths.filter(({ each }) => each === undefined)
  const texts = lengths.filter(({ each }) => each !== undefined)
  const left = most - sumOf(words)
  const [first, ...others] = texts
  if (!first || left < MAX_BYTES_OF_CHARACTER * texts.length) return 'Shorten the words of enum.'
  const alike = others.every(({ each }) => each === first.each)
  const characters = Math.floor(left / (first.each ?? 1))
  const smaller =
    others.length === 0
      ? `a maxLength of at most ${characters}`
      : `smaller maxLengths, ${alike ? `${characters} characters` : `${left} bytes`} together,`
  return `Set ${smaller} or none; without one, only the records that are too long are rejected.`
}

function sumOf(lengths: readonly WrittenLength[]): number {
  return lengths.reduce((sum, { most }) => sum + most, 0)
}
