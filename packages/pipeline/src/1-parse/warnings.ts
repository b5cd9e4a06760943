import { showInvisible } from '@aduana/contracts/characters'
import type { DatasetDefinition, LoadMode } from '@aduana/contracts/dataset-definition'
import { DeclaredEncoding } from '@aduana/contracts/encodings'
import { counted, figure } from '@aduana/contracts/figures'
import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import { asFields, sendAgain } from '@aduana/contracts/send-again'
import { misspeltHeaders } from '@aduana/datasets/header'
import type { ParseResult } from '@aduana/engine/protocol'
import type { FileReading } from './read-records.ts'

/** Returns warnings about columns that were probably lost, and about values that are probably in the wrong columns. */
export function columnWarnings(
  definition: DatasetDefinition,
  { header, reading, output }: FileReading,
  { records, extraCells, unnamedColumns }: Pick<ParseResult, 'records' | 'extraCells' | 'unnamedColumns'>,
): ImportWarning[] {
  return [
    ...splitNumbers(definition, reading.columns, header.cells.length, { records, extraCells }),
    ...misspelt(definition, header.line, output),
    ...unnamed(unnamedColumns),
  ]
}

/** Warns of decimal commas between comma delimiters: half of the records with an extra cell show them in a decimal column. */
function splitNumbers(
  definition: DatasetDefinition,
  columns: FileReading['reading']['columns'],
  expected: number,
  { records, extraCells: extra }: Pick<ParseResult, 'records' | 'extraCells'>,
): ImportWarning[] {
  if (!extra) return []
  const decimals = new Set(
    definition.columns.filter(({ type }) => type === 'decimal').map(({ name }) => name),
  )
  const [first] = extra.halves
    .flatMap(({ index, records: count }) => {
      const name = columns.find((column) => column.index === index)?.name
      return name !== undefined && decimals.has(name) && count * 2 >= extra.records ? [{ index, name }] : []
    })
    .sort((a, b) => a.index - b.index)
  if (!first) return []
  const all = extra.records === records
  const who = all
    ? records === 1
      ? 'The only record has'
      : `All ${records} records have`
    : `${extra.records} of ${records} records ${extra.records === 1 ? 'has' : 'have'}`
  const message = `${who} more cells than the header: ${extra.width} instead of ${expected} in line ${extra.line}, the last of them empty: "${showInvisible(extra.text)}". It was read as written, so "${first.name}" may contain only the part of its number before a decimal comma. If so, undo the import and export the file with ";" between cells.`
  return [importWarning('split_numbers', message, { column: first.name, count: extra.records })]
}

function misspelt(
  definition: DatasetDefinition,
  line: number,
  { ignored, absent }: FileReading['output'],
): ImportWarning[] {
  return misspeltHeaders(definition, { ignored, absent }).map(({ cell, column, known }) => {
    const where = `The header cell "${showInvisible(cell)}" in line ${line}`
    const why = /[\r\n]/.test(cell) ? 'it has a line break, and' : 'it'
    const message = `${where} names no column, so its values were not loaded; ${why} is close to "${known}", which the file lacks. If "${known}" is meant, undo the import, rename the cell and send the file again, or add the name to the aliases of the column.`
    return importWarning('misspelt_header', message, { column, count: 1 })
  })
}

function unnamed(columns: ParseResult['unnamedColumns']): ImportWarning[] {
  const [first] = columns
  if (!first) return []
  const one = columns.length === 1
  const records = Math.max(...columns.map((column) => column.records))
  const each = columns
    .slice(0, 5)
    .map(
      ({ index, records: count }) =>
        `column ${index + 1} in ${count === 1 ? '1 record' : `${count} records`}`,
    )
  const more = columns.length > each.length ? ` and ${columns.length - each.length} more` : ''
  const message = `${one ? '1 column' : `${columns.length} columns`} without a name ${one ? 'has' : 'have'} values, which were not loaded: ${each.join(', ')}${more}; the first is "${showInvisible(first.text)}" in line ${first.line}. If they are needed, undo the import, name the column in the header and send the file again.`
  return [importWarning('unnamed_column', message, { count: records })]
}

type Found = Pick<ParseResult, 'encoding' | 'encodingDoubt'>
type Doubt = NonNullable<ParseResult['encodingDoubt']>

/** Returns a warning if the file may be in another encoding than the one it was read in. */
export function encodingWarnings(
  { encoding, encodingDoubt: doubt }: Found,
  declared: DeclaredEncoding | null,
  mode: LoadMode,
): ImportWarning[] {
  if (!doubt) return []
  const { odd, characters, rival } = doubt
  const about = doubt.invalid ? notAllUtf8(doubt, doubt.invalid) : uncertain(encoding, declared, doubt)
  const remedy = doubt.invalid
    ? `Save the file as UTF-8, or, if all of it is in another encoding, ${again(mode, rival?.encoding)}.`
    : declared
      ? `If that is wrong, ${again(mode, rival?.encoding)}, or save it as UTF-8.`
      : `If ${encoding} is right, declare it for such files: ${asFields({ encoding })}. If not, ${again(mode, rival?.encoding)}, or save it as UTF-8.`
  return [
    importWarning('encoding_unsure', `${about} ${remedy}${others([encoding, rival?.encoding])}`, {
      count: odd || characters,
    }),
  ]
}

function uncertain(
  encoding: string,
  declared: DeclaredEncoding | null,
  { odd, characters, sample, rival }: Doubt,
): string {
  const how = declared ? ', as declared' : ''
  const example =
    odd > 0
      ? `${figure(odd)} of its ${counted(characters, 'byte')} beyond ASCII ${odd === 1 ? 'looks' : 'look'} wrong, as in`
      : 'it has'
  const other = rival ? `, which in ${rival.encoding} is "${rival.sample}"` : ''
  return `The encoding is uncertain: the file was read as ${encoding}${how}, where ${example} "${sample}"${other}.`
}

/** Describes a file that is UTF-8 in most places, with its first invalid bytes. */
function notAllUtf8({ odd, sample, rival }: Doubt, { line }: NonNullable<Doubt['invalid']>): string {
  const other = rival ? `; as ${rival.encoding} "${rival.sample}"` : ''
  return `The file is UTF-8 except for ${counted(odd, 'byte')}, first in line ${line} ("${sample}"${other}). Records with such bytes are rejects (invalid_utf8).`
}

function again(mode: LoadMode, encoding = 'windows-1252'): string {
  return sendAgain(mode, { encoding })
}

/** Lists the encodings that can be declared, except those already named. */
function others(named: readonly (string | undefined)[]): string {
  const left = DeclaredEncoding.options.filter((name) => !named.includes(name) && name !== 'iso-8859-1')
  return ` Other encodings: ${left.join(', ')}.`
}
