import { type DatasetDefinition, maxLengthOf, type TextColumn } from '@aduana/contracts/dataset-definition'
import { isAscii } from './ascii.ts'
import { type ByteLimit, indexLimits, longestWord, MOST_OF_CHARACTER } from './byte-limits.ts'
import type { CatalogueTable } from './catalogue.ts'
import { fileColumns } from './header.ts'
import { columnPath, type PlacedProblem } from './placed-problems.ts'

/**
 * Returns where the lengths that a definition writes allow more bytes than an index has room for. A column without a
 * written length counts for nothing: only its records are held to the limit. What `before`, the present definition,
 * allows in the same words is no problem of the change.
 */
export function keyLengthProblems(
  definition: DatasetDefinition,
  catalogue: readonly CatalogueTable[],
  before?: DatasetDefinition,
): PlacedProblem[] {
  const known = new Set(before ? tooLong(before, catalogue).map(({ message }) => message) : [])
  return tooLong(definition, catalogue).filter(({ message }) => !known.has(message))
}

/** The most that the texts of a column take by what is written about them. */
interface WrittenLength {
  column: TextColumn
  bytes: number
  /** Bytes of a character; undefined where a list of words sets the length. */
  each: number | undefined
}

function tooLong(definition: DatasetDefinition, catalogue: readonly CatalogueTable[]): PlacedProblem[] {
  const written = new Map(
    fileColumns(definition).flatMap((column): [string, WrittenLength][] => {
      const length = column.type === 'text' ? writtenLength(definition, column) : undefined
      return length ? [[column.name, length]] : []
    }),
  )
  return narrowest(indexLimits(definition, catalogue)).flatMap((limit) => {
    const lengths = limit.columns.flatMap((name) => written.get(name) ?? [])
    return bytesOf(lengths) > limit.most ? [problemOf(definition, limit, lengths)] : []
  })
}

function writtenLength(definition: DatasetDefinition, column: TextColumn): WrittenLength | undefined {
  const each = isAscii(column) ? 1 : MOST_OF_CHARACTER
  const bytes = column.maxLength === undefined ? Infinity : column.maxLength * each
  const longest = longestWord(definition, column)
  if (bytes < longest) return { column, bytes, each }
  return longest === Infinity ? undefined : { column, bytes: longest, each: undefined }
}

/** Of the limits on the same columns, only the one that leaves the least room. */
function narrowest(limits: readonly ByteLimit[]): ByteLimit[] {
  const found = new Map<string, ByteLimit>()
  for (const limit of limits) {
    const columns = [...limit.columns].sort().join()
    if (limit.most < (found.get(columns)?.most ?? Infinity)) found.set(columns, limit)
  }
  return [...found.values()]
}

function problemOf(
  definition: DatasetDefinition,
  { most, what }: ByteLimit,
  lengths: readonly WrittenLength[],
): PlacedProblem {
  const place = lengths.find(({ each }) => each !== undefined) ?? lengths[0]
  const part = place?.each === undefined ? 'enum' : 'maxLength'
  const together = lengths.length === 1 ? '' : ' together'
  return {
    path: `${columnPath(definition, place?.column.name)}.${part}`,
    message: `${lengths.map(shown).join(', ')} may have ${bytesOf(lengths)} bytes${together}; ${what} has room for ${most}. ${advice(most, lengths)}`,
  }
}

function shown({ column, bytes, each }: WrittenLength): string {
  if (each === undefined) return `"${column.name}" (words of up to ${bytes} bytes)`
  return `"${column.name}" (${maxLengthOf(column)} characters of ${each === 1 ? '1 byte' : `up to ${each} bytes`})`
}

function advice(most: number, lengths: readonly WrittenLength[]): string {
  const words = lengths.filter(({ each }) => each === undefined)
  const texts = lengths.filter(({ each }) => each !== undefined)
  const left = most - bytesOf(words)
  const [first, ...others] = texts
  if (!first || left < MOST_OF_CHARACTER * texts.length) return 'Shorten the words of enum.'
  const alike = others.every(({ each }) => each === first.each)
  const characters = Math.floor(left / (first.each ?? MOST_OF_CHARACTER))
  const smaller =
    others.length === 0
      ? `a maxLength of at most ${characters}`
      : `smaller maxLengths, ${alike ? `${characters} characters` : `${left} bytes`} together,`
  return `Write ${smaller} or none: then only the records that are too long are rejected.`
}

function bytesOf(lengths: readonly WrittenLength[]): number {
  return lengths.reduce((sum, { bytes }) => sum + bytes, 0)
}
