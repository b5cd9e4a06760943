import { CHARACTERS } from '@aduana/contracts/characters'
import type { Column, DatasetDefinition, Normalisation } from '@aduana/contracts/dataset-definition'
import { isCode } from '../codes.ts'
import { lit, literals, quoteIdentifier } from '../literals.ts'
import {
  isInSet,
  literalPattern,
  type SpecialText,
  type SpecialTexts,
  specialTexts,
} from './special-texts.ts'

/** The kinds of texts in a column. */
export type TextKind = 'code' | 'free' | 'number' | 'other'

/** How the texts of a column are read. */
export interface Reading {
  kind: TextKind
  /** Wrappers that protect a text from spreadsheets, such as `="00123"`, are removed. */
  guarded: boolean
  special: SpecialTexts
}

/** Returns how the texts of a column of a definition are read. */
export function readingOf(definition: DatasetDefinition, column: Column): Reading {
  const code = isCode(definition, column)
  const number = column.type === 'integer' || column.type === 'decimal'
  const kind = code ? 'code' : column.type === 'text' ? 'free' : number ? 'number' : 'other'
  const listed = column.type === 'text' ? (column.enum ?? []) : []
  const guarded = code && !listed.some((word) => /^['=]/.test(word))
  return { kind, guarded, special: specialTexts(column, code, column.nullWords ?? definition.nullWords) }
}

/** The texts of a cell in SQL. */
export interface Texts {
  column: Column
  reading: Reading
  /** As in the file. */
  original: string
  /** What the rules see. */
  text: string
  /** Undefined if no cell of the column in the file needs cleaning. */
  careful: CarefulText | undefined
}

/** A cell that may need cleaning, or may hold a word for no value or a text that is refused. */
export interface CarefulText {
  /** SQL of the text without outer white space; NULL if the cell needs nothing. */
  trimmed: string
  /** The group of columns that are read alike, and the position of this one in it, from 1. */
  group: number
  place: number
}

/** Returns columns in groups that are read alike. */
export function readAlike<One extends { reading: Reading }>(columns: readonly One[]): [One, ...One[]][] {
  const groups = new Map<string, [One, ...One[]]>()
  for (const one of columns) {
    const key = JSON.stringify(one.reading)
    const its = groups.get(key)
    if (its) its.push(one)
    else groups.set(key, [one])
  }
  return [...groups.values()]
}

/** Outer white space of a code: space, tab, LF, CR. Other spaces have become blanks before it is trimmed. */
const OUTER = String.raw` \t\n\r`
/** In free text also a no-break space and a byte order mark. */
const OUTER_OF_FREE = String.raw`${OUTER}\x{00A0}\x{FEFF}`
const OUTER_CHARACTERS = lit(' \t\n\r')
const OUTER_CHARACTERS_OF_FREE = lit(' \t\n\r\u00A0\uFEFF')

/** Marks a text that is refused, and separates texts. The parser rejects it in cells. */
const MARK = lit('\u001F')

const STEPS: Record<Normalisation, (text: string) => string> = {
  upper: (text) => `upper(${text})`,
  lower: (text) => `lower(${text})`,
  'collapse-spaces': (text) =>
    `regexp_replace(${text}, ${lit(String.raw`[\s${CHARACTERS.blanks.re2}]+`)}, ' ', 'g')`,
  'strip-accents': (text) => `strip_accents(${text})`,
  'digits-only': (text) =>
    `case when starts_with(${text}, ${MARK}) then ${text} else nullif(regexp_replace(${text}, '[^0-9]', '', 'g'), '') end`,
}

/** Returns SQL of a cell's original text; NULL if the file lacks the column. */
export function originalText(column: Column, brought: boolean): string {
  return brought ? quoteIdentifier(column.name) : 'NULL::VARCHAR'
}

/**
 * Returns SQL that is true for a record with a cell that may need cleaning; `cells` are SQL of columns that are read alike.
 * In a file without such records these columns are used as they are, and nothing else is planned or computed for them.
 */
export function needsCare(reading: Reading, cells: readonly string[]): string {
  const [outer] = outerOf(reading)
  const [start, end] = [String.raw`(?:^|\x{1F})`, String.raw`(?:\x{1F}|$)`]
  const blanks = `[${outer}]${end}`
  const pattern = `${start}(?:[${outer}]|${signsOf(reading)}|(?i:${wordsOf(reading)})${end})|${blanks}|${unsettled(reading)}`
  return `regexp_matches(concat_ws(${MARK}, ${cells.join(', ')}), ${lit(pattern)})`
}

/*
 * Even in a file with such records, nearly every cell is clean, or has only white space around it. A pattern for each column
 * finds the others. The columns of a record that are read alike are then cleaned together, as a list, so that cleaning is
 * compiled once per group and not for each of up to a thousand columns.
 */

/** A cell that may need cleaning. */
type CarefulCell = Texts & { careful: CarefulText }

function carefulOnly(cells: readonly Texts[]): CarefulCell[] {
  return cells.filter((cell): cell is CarefulCell => cell.careful !== undefined)
}

/** Returns the columns of the trimmed texts; NULL if a cell has no outer white space and needs no cleaning. */
export function trimmedTexts(cells: readonly Texts[]): string[] {
  return carefulOnly(cells).map(({ original, reading, careful }) => {
    const [outer, characters] = outerOf(reading)
    return `case when regexp_matches(${original}, ${lit(touched(reading, outer))}) then trim(${original}, ${characters}) end as ${careful.trimmed}`
  })
}

function touched(reading: Reading, outer: string): string {
  return `^(?:[${outer}]|${signsOf(reading)}|(?i:${wordsOf(reading)})$)|[${outer}]$|${unsettled(reading)}`
}

function unsettled({ kind }: Reading): string {
  return `[${kind === 'free' ? '' : String.raw`\x{A0}\x{AD}`}${CHARACTERS.unsettled.re2}]`
}

function signsOf({ guarded }: Reading): string {
  return String.raw`[#\\${guarded ? String.raw`=\x{27}` : ''}]`
}

function wordsOf({ special: { faults, nullWords, undeclared } }: Reading): string {
  const codes = faults.flatMap(({ code, texts }) => (code === 'scientific_code' ? (texts.pattern ?? []) : []))
  return ['err:5[0-9]+', ...codes, ...[...nullWords.list, ...undeclared.list].map(literalPattern)].join('|')
}

/** Returns the columns `s0, s1 …`: the cleaned texts of each group, as a list; NULL if none needs cleaning. */
export function settledGroups(cells: readonly Texts[]): string[] {
  return groups(cells).map(([first, ...rest], group) => {
    const { reading } = first
    const its = [first, ...rest]
    const look = String.raw`(?:^|\x{1F})(?:${signsOf(reading)}|(?i:${wordsOf(reading)})(?:\x{1F}|$))|[^\x{0}-\x{7F}]`
    const trimmed = its.map(({ careful }) => careful.trimmed).join(', ')
    const found = `regexp_matches(concat_ws(${MARK}, ${trimmed}), ${lit(look)})`
    const [outer, characters] = outerOf(reading)
    const clean = `case when regexp_matches(cell, ${lit(touched(reading, outer))}) then ${settled('cell', reading, characters)} else cell end`
    const none = `coalesce(${trimmed}) is null`
    return `case when ${none} then null when ${found} then list_transform([${its.map(({ original }) => original).join(', ')}], lambda cell: ${clean}) end as s${group}`
  })
}

/** Returns the columns `j0, j1 …`: the texts of each group, with special texts marked. */
export function judgedGroups(cells: readonly Texts[]): string[] {
  return groups(cells).map(
    ([{ reading }], group) =>
      `list_transform(s${group}, lambda cell: case when regexp_matches(cell, ${lit(String.raw`^(?:$|[#\\]|(?i:${wordsOf(reading)})$)`)}) then ${judged(reading.special, 'cell')} else cell end) as j${group}`,
  )
}

function groups(cells: readonly Texts[]): [CarefulCell, ...CarefulCell[]][] {
  const found: [CarefulCell, ...CarefulCell[]][] = []
  for (const cell of carefulOnly(cells)) {
    const known = found[cell.careful.group]
    if (known) known.push(cell)
    else found[cell.careful.group] = [cell]
  }
  return found
}

function outerOf({ kind }: Reading): [pattern: string, characters: string] {
  return kind === 'free' ? [OUTER_OF_FREE, OUTER_CHARACTERS_OF_FREE] : [OUTER, OUTER_CHARACTERS]
}

function settled(original: string, { kind, guarded }: Reading, characters: string): string {
  if (kind === 'free') return `trim(nfc_normalize(${original}), ${characters})`
  const ignorable = kind === 'number' ? CHARACTERS.ignorableInNumbers : CHARACTERS.ignorable
  const seen = `regexp_replace(${original}, ${lit(`[${ignorable.re2}]+`)}, '', 'g')`
  const trimmed = `trim(nfc_normalize(${withBlanks(seen)}), ${characters})`
  return guarded ? `trim(${unguarded(trimmed)}, ${characters})` : trimmed
}

const BLANKS =
  '\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'

function withBlanks(text: string): string {
  return `translate(${text}, ${lit(BLANKS)}, ${lit(' '.repeat(BLANKS.length))})`
}

/** An apostrophe before a code, and one after it, but not that of a word (`'s-Hertogenbosch`). */
const APOSTROPHE = String.raw`(?s)^'((?:(?:[^stnSTN']|[stnSTN](?:[^- ]|[- ]\P{L})).*?|[stnSTN][- ]?)?)'?$`
/** A formula that contains only a text: `="00123"`. */
const FORMULA = `(?s)^= *["“”„«]{1,2}(.*?)["“”»]{1,2}$`

/** Returns SQL of a code without the wrapper that protects it from spreadsheets. */
function unguarded(text: string): string {
  const plain = String.raw`'\1'`
  return `regexp_replace(regexp_replace(${text}, ${lit(APOSTROPHE)}, ${plain}), ${lit(FORMULA)}, ${plain})`
}

/**
 * Returns SQL of the text that the rules see: cleaned, normalised, NULL if empty or a word for no value. A text that is
 * refused is marked with its kind; see `isFault`.
 */
export function normalisedText({ column, original, careful }: Texts): string {
  const text = careful === undefined ? `nullif(${original}, '')` : carefulText(original, careful)
  return orderedSteps(column.normalise).reduce((value, step) => STEPS[step](value), text)
}

function carefulText(original: string, { trimmed, group, place }: CarefulText): string {
  return `case when j${group} is not null then j${group}[${place}] when ${trimmed} is not null then nullif(${trimmed}, '') when ${original} <> '' then ${original} end`
}

/**
 * Returns SQL of the text of a cell, cleaned and normalised, NULL if empty: as the rules see it, except that words and
 * errors that are refused are kept. `original` is SQL of the cell; `careful` is true if the file may have cells to clean.
 */
export function cleanedText(column: Column, reading: Reading, original: string, careful: boolean): string {
  const [outer, characters] = outerOf(reading)
  const touch = String.raw`^[${outer}]|[${outer}]$|[^\x{0}-\x{7F}]`
  const clean = `nullif(${settled(original, reading, characters)}, '')`
  const text = careful
    ? `case when ${original} = '' then null when regexp_matches(${original}, ${lit(touch)}) then ${clean} else ${original} end`
    : `nullif(${original}, '')`
  return orderedSteps(column.normalise).reduce((value, step) => STEPS[step](value), text)
}

function judged({ faults, nullWords }: SpecialTexts, text: string): string {
  const cases = faults.map(
    ({ code, texts }) => ` when ${isInSet(text, texts)} then ${markOf(code)} || ${text}`,
  )
  return `case when ${text} = '' or ${isInSet(text, nullWords)} then null${cases.join('')} else ${text} end`
}

/** Digits, which normalisation does not change. */
const FAULT_NUMBERS: Record<SpecialText, number> = { spreadsheet_error: 1, null_word: 2, scientific_code: 3 }

function markOf(fault: SpecialText): string {
  return lit(`\u001F${FAULT_NUMBERS[fault]}`)
}

/** Returns SQL that is true if the text that the rules see is refused; with `fault`, refused for this kind. */
export function isFault(text: string, fault?: SpecialText): string {
  return `starts_with(${text}, ${fault === undefined ? MARK : markOf(fault)})`
}

/** Returns SQL that is true if the cell holds a declared word for no value. */
export function isNullWord({ reading, careful }: Texts): string {
  if (careful === undefined) return 'false'
  return `coalesce(${isInSet(`s${careful.group}[${careful.place}]`, reading.special.nullWords)}, false)`
}

/** Notes of a cell: its text was changed in more than outer white space, means no value, or may mean no value. */
const NOTES = ['cleaned', 'null_word', 'undeclared'] as const
export type Note = (typeof NOTES)[number]

/** Returns SQL of the notes of a record: a list of `note:column name`, usually NULL; undefined if no record has any. */
export function notesOf(cells: readonly Texts[]): string | undefined {
  const lists = groups(cells).map(([first, ...rest], group) => {
    const { nullWords, undeclared } = first.reading.special
    const its = [first, ...rest]
    const names = literals(its.map(({ column }) => column.name))
    const originals = its.map(({ original }) => original).join(', ')
    const found: [Note, string][] = [
      ['cleaned', `case when cell[1] <> cell[2] then cell[1] <> ${unchanged('cell[2]', first.reading)} end`],
    ]
    if (nullWords.list.length > 0) found.push(['null_word', isWord('cell[1]', nullWords.list)])
    if (undeclared.list.length > 0) found.push(['undeclared', isWord('cell[1]', undeclared.list)])
    const notes = found.map(
      ([note, holds]) =>
        `list_transform(list_filter(list_zip(s${group}, [${originals}], [${names}]), lambda cell: ${holds}), lambda cell: ${lit(`${note}:`)} || cell[3])`,
    )
    return `case when s${group} is not null then flatten([${notes.join(', ')}]) end`
  })
  if (lists.length === 0) return undefined
  const none = lists.map((_, group) => `s${group} is null`).join(' and ')
  return `case when ${none} then null else ${lists.reduce((all, list) => `list_concat(${all}, ${list})`)} end`
}

function isWord(text: string, list: readonly string[]): string {
  return `regexp_full_match(${text}, ${lit(`(?i:${list.map(literalPattern).join('|')})`)})`
}

function unchanged(original: string, { kind }: Reading): string {
  if (kind === 'free') return `trim(${original}, ${OUTER_CHARACTERS_OF_FREE})`
  // In columns of other types, blanks are not part of the value.
  if (kind !== 'code') return `trim(${withBlanks(original)}, ${OUTER_CHARACTERS})`
  return `trim(${original}, ${lit(` \t\n\r${BLANKS}`)})`
}

/** The steps run in this order, regardless of the order in the definition. */
function orderedSteps(steps: readonly Normalisation[]): Normalisation[] {
  const order: Normalisation[] = ['upper', 'lower', 'collapse-spaces', 'strip-accents', 'digits-only']
  return order.filter((step) => steps.includes(step))
}
