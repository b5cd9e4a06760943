import { cleanCode } from '@aduana/contracts/characters'
import type { Column } from '@aduana/contracts/dataset-definition'
import type { RULE_CODES } from '@aduana/contracts/rejects'
import { lit } from '../literals.ts'

/** Texts that stand for something else, such as an error or no value. They are not loaded unless the definition allows it. */
export type SpecialText = Extract<
  (typeof RULE_CODES)[number],
  'spreadsheet_error' | 'null_word' | 'scientific_code'
>

// English, Spanish, Portuguese, French, German, Italian and Dutch; each may begin with ¡ or ¿ and ends with ! or ?.
const ERROR_NAMES = `NULL NULO NUL NULLO LEEG DIV/0 DEEL/0 VALUE VALOR VALEUR WERT VALORE WAARDE REF BEZUG RIF VERW NAME NOMBRE NOME
  NOM NAAM NUM NÚM ZAHL GETAL SPILL DESBORDAMIENTO DESPEJAR PROPAGATION ÜBERLAUF ESPANSIONE OVERLOPEN CALC KALK FIELD CAMPO CHAMP
  FELD BLOCKED BLOQUEADO CONNECT CONECTAR UNKNOWN DESCONOCIDO DESCONHECIDO BUSY OCUPADO EXTERNAL PYTHON TIMEOUT ERROR`
const OTHER_ERRORS = ['#n/a', '#n/a n/a', '#na', '#n/d', '#n/b', '#nv', '#getting_data', '#obteniendo_datos']

/**
 * What programs write for no value: databases and their clients, pandas, other spreadsheets, JavaScript. Such a text, in
 * upper or lower case, causes a warning unless the definition declares it. `NA` is omitted because it is often a code.
 */
export const WORDS_FOR_NO_VALUE = [
  'NULL',
  '(null)',
  '<null>',
  'NaN',
  '-NaN',
  'NaT',
  '<NA>',
  'None',
  'N/A',
  'undefined',
] as const

/** A set of texts without outer white space: a list, regardless of case, and all full matches of a pattern. */
export interface TextSet {
  /** In lower case. */
  list: readonly string[]
  /** For RE2 and JavaScript; matches regardless of case. */
  pattern?: string
}

const FAULTS: Record<SpecialText, () => TextSet> = {
  spreadsheet_error: () => ({
    list: [
      ...OTHER_ERRORS,
      ...ERROR_NAMES.split(/\s+/).flatMap((name) =>
        ['#', '#¡', '#¿'].flatMap((start) => [`${start}${name}!`, `${start}${name}?`]),
      ),
    ].map((text) => text.toLowerCase()),
    // LibreOffice writes `Err:502`; a date that is too wide for its column is exported as `########`.
    pattern: '####+|Err:5[0-9][0-9]',
  }),
  null_word: () => ({ list: ['\\n'] }),
  // Without a sign of the exponent, a mantissa needs two decimals: `1E5` and `1.5E3` may be codes.
  scientific_code: () => ({
    list: [],
    pattern: String.raw`[+-]?[0-9]{1,3}(?:[.,][0-9]+)?E\+[0-9]{1,3}|[+-]?[0-9]{1,3}[.,][0-9][0-9]+E-?[0-9]{2,3}`,
  }),
}

/** What to look for in the texts of a column. */
export interface SpecialTexts {
  faults: { code: SpecialText; texts: TextSet }[]
  /** Declared words for no value. */
  nullWords: TextSet
  /** Words of a text column that may mean no value but are not declared. */
  undeclared: TextSet
}

/**
 * Returns the special texts of a column with these words for no value (undefined: none are declared; an empty list: every
 * text is a value). Values listed in `enum` are never special.
 */
export function specialTexts(
  column: Column,
  code: boolean,
  words: readonly string[] | undefined,
): SpecialTexts {
  const codes: SpecialText[] = [
    'spreadsheet_error',
    'null_word',
    ...(code ? ['scientific_code' as const] : []),
  ]
  const listed = column.type === 'text' ? (column.enum ?? []) : []
  const declared = (words ?? []).map((word) => cleanCode(word).toLowerCase())
  const known = [...declared, ...listed.map((value) => value.toLowerCase())]
  const told = column.type === 'text' && words?.length !== 0
  return {
    faults: codes
      .map((name) => ({ code: name, texts: FAULTS[name]() }))
      .filter(({ texts }) => !listed.some((word) => isIn(texts, word))),
    nullWords: { list: [...new Set(declared)] },
    undeclared: {
      list: told
        ? WORDS_FOR_NO_VALUE.map((word) => word.toLowerCase()).filter((word) => !known.includes(word))
        : [],
    },
  }
}

function isIn({ list, pattern }: TextSet, text: string): boolean {
  return (
    list.includes(text.toLowerCase()) ||
    (pattern !== undefined && new RegExp(`^(?:${pattern})$`, 'iu').test(text))
  )
}

/** Separates the texts of a list. The parser rejects it in cells. */
const BETWEEN = '\u001F'

/** Returns SQL that is true if a text is in the set. The list is one literal, which is cheaper to plan than one per text. */
export function isInSet(text: string, { list, pattern }: TextSet): string {
  const all = lit(['', ...list, ''].join(BETWEEN))
  const between = lit(BETWEEN)
  const parts = [
    ...(list.length > 0 ? [`contains(${all}, ${between} || lower(${text}) || ${between})`] : []),
    ...(pattern === undefined ? [] : [`regexp_full_match(${text}, ${lit(`(?i:${pattern})`)})`]),
  ]
  return parts.length === 0 ? 'false' : `(${parts.join(' or ')})`
}

/** Returns an RE2 pattern that matches only this text. */
export function literalPattern(text: string): string {
  return text.replace(/[^\p{L}\p{N} ]/gu, (sign) => `\\x{${(sign.codePointAt(0) ?? 0).toString(16)}}`)
}
