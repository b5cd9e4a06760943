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
  const message = `${who} more cells than the header; the last cell is empty. Line ${extra.line} has ${extra.width} cells instead of ${expected}: "${showInvisible(extra.text)}". The column "${first.name}" may contain only the part of the number before the decimal comma. If so, undo the import, export the file with ";" between cells, and send it again.`
  return [importWarning('split_numbers', message, { column: first.name, count: extra.records })]
}

function misspelt(
  definition: DatasetDefinition,
  line: number,
  { ignored, absent }: FileReading['output'],
): ImportWarning[] {
  return misspeltHeaders(definition, { ignored, absent }).map(({ cell, column, known }) => {
    const where = `The header cell "${showInvisible(cell)}" in line ${line}`
    const broken = /[\r\n]/.test(cell) ? ' It contains a line break.' : ''
    const message = `${where} is not the name of a column, so its values were not loaded. It is close to "${known}", which the file lacks.${broken} If "${known}" is meant, undo the import. Then rename the cell, or add it to the aliases of the column, and send the file again.`
    return importWarning('misspelt_header', message, { column, count: 1 })
  })
}

function unnamed(columns: ParseResult['unnamedColumns']): ImportWarning[] {
  const [first] = columns
  if (!first) return []
  const records = Math.max(...columns.map((column) => column.records))
  const each = columns
    .slice(0, 5)
    .map(({ index, records: count }) => `column ${index + 1} in ${counted(count, 'record')}`)
  const more = columns.length > each.length ? ` and ${columns.length - each.length} more` : ''
  const message = `The file has values in ${counted(columns.length, 'column')} without a name: ${each.join(', ')}${more}. These values were not loaded. The first is "${showInvisible(first.text)}" in line ${first.line}. If the values are needed, undo the import, name the columns in the header, and send the file again.`
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
    ? `Save the file as UTF-8. If the whole file is in another encoding, ${again(mode, rival?.encoding)}.`
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
  const how = declared ? ' (declared)' : ''
  const example =
    odd > 0
      ? `In this encoding, ${figure(odd)} of ${counted(characters, 'byte')} beyond ASCII ${odd === 1 ? 'looks' : 'look'} wrong, for example "${sample}"`
      : `In this encoding, the file contains "${sample}"`
  const other = rival ? `; in ${rival.encoding}, the same text is "${rival.sample}"` : ''
  return `The encoding is uncertain. The file was read as ${encoding}${how}. ${example}${other}.`
}

/** Describes a file that is UTF-8 in most places, with its first invalid bytes. */
function notAllUtf8({ odd, sample, rival }: Doubt, { line }: NonNullable<Doubt['invalid']>): string {
  const other = rival ? `; in ${rival.encoding} "${rival.sample}"` : ''
  return `The file is UTF-8 except for ${counted(odd, 'byte')}. The first is in line ${line} ("${sample}"${other}). Records with such bytes are rejects (invalid_utf8).`
}

function again(mode: LoadMode, encoding = 'windows-1252'): string {
  return sendAgain(mode, { encoding })
}

/** Lists the encodings that can be declared, except those already named. */
function others(named: readonly (string | undefined)[]): string {
  const left = DeclaredEncoding.options.filter((name) => !named.includes(name) && name !== 'iso-8859-1')
  return ` Other encodings: ${left.join(', ')}.`
}
