import type { Random } from './random.ts'

/** The days of a sample, each in the three forms in which files write them. */
export interface WrittenDay {
  iso: string
  slashes: string
  dashes: string
}

/** What the records of one sample are made from. */
export interface Draw {
  random: Random
  days: readonly WrittenDay[]
}

/** A reason that the importer must find; `column` is null for the record as a whole. */
export interface ExpectedReason {
  column: string | null
  code: string
}

/** One kind of bad record. */
export interface Defect {
  kind: string
  /** Its relative frequency. */
  weight: number
  reasons: readonly ExpectedReason[]
  /** The line, without its end, that spoils a good record. */
  spoil(cells: string[], random: Random): string
}

/** How the sample of a dataset looks. Cells are as they are written: quoted where they must be. */
export interface Shape {
  delimiter: string
  header: readonly string[]
  /** The record with this index (from 0), good and with a key of its own. */
  good(index: number, draw: Draw): string[]
  /** Of records with the same key the later version counts; without versions those that differ are conflicts. */
  versioned: boolean
  /** A good record that has the key of another one. */
  again(cells: readonly string[], draw: Draw): string[]
  /** A good record that has a quote in it; the last of a file, so that an open quote before it always meets another. */
  last(index: number, draw: Draw): string[]
  defects: readonly Defect[]
}

/** A defect that is one wrong cell. */
export function wrongCell(
  delimiter: string,
  defect: Omit<Defect, 'spoil' | 'reasons'> & {
    index: number
    column: string
    code: string
    value: (random: Random, cell: string) => string
  },
): Defect {
  const { kind, weight, index, column, code, value } = defect
  return {
    kind,
    weight,
    reasons: [{ column, code }],
    spoil: (cells, random) => {
      cells[index] = value(random, cells[index] ?? '')
      return cells.join(delimiter)
    },
  }
}

/** Records with too few and with too many columns. The last cell is emptied, so that no line end is inside. */
export function raggedLines(delimiter: string, weight: number): Defect[] {
  const kind = (name: string, code: string, spoil: (cells: string[]) => string[]): Defect => ({
    kind: name,
    weight,
    reasons: [{ column: null, code }],
    spoil: (cells) => spoil(cells).join(delimiter),
  })
  return [
    kind('too_few_columns', 'missing_columns', (cells) => cells.slice(0, -2)),
    kind('too_many_columns', 'too_many_columns', (cells) => [...cells.slice(0, -1), '', 'sobra', 'sobra']),
  ]
}

/** Two digits. */
export function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}

/** A number with leading zeros. */
export function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0')
}
