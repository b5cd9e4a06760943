import type { Column, ThousandsMark } from '@aduana/contracts/dataset-definition'
import { lit } from '../literals.ts'
import { hasShortYear } from './formats.ts'
import { THOUSANDS } from './numbers.ts'
import { fullMatch } from './patterns.ts'

/*
 * SQL of hints on what an unreadable cell probably is, added to the message of its reject. It is computed only for cells
 * of rejects.
 */

/**
 * Returns SQL of the end of a message about a text that is no number: what to declare if its thousands are separated by a
 * mark that the column does not allow. `decimalMark` is the mark before decimals.
 */
export function thousandsHint(
  text: string,
  declared: readonly ThousandsMark[] | undefined,
  decimalMark: 'point' | 'comma' | 'either' | undefined,
): string {
  const marks = (['comma', 'point', 'blank', 'apostrophe'] as const).filter(
    (mark) =>
      declared?.includes(mark) !== true &&
      mark !== decimalMark &&
      (decimalMark !== 'either' || mark === 'blank' || mark === 'apostrophe'),
  )
  const decimals = { point: '[.]', comma: '[,]', either: '[.,]' }[decimalMark ?? 'either']
  const fraction = decimalMark === undefined ? '' : String.raw`(?:${decimals}\d+)?`
  const cases = marks.map((mark) => {
    const all = [...(declared ?? []), mark].map((name) => `"${name}"`).join(', ')
    const grouped = String.raw`[+-]?[1-9]\d{0,2}(?:${THOUSANDS[mark]}\d{3})+${fraction}`
    const hint = `; if the ${mark} separates thousands, declare thousandsMarks: [${all}]`
    return ` when ${fullMatch(text, grouped)} then ${lit(hint)}`
  })
  return cases.length === 0 ? `''` : `case${cases.join('')} else '' end`
}

/** Day numbers of spreadsheets from 1954 to 2119. Other numbers are probably not dates. */
const DAY_NUMBER = String.raw`([2-7]\d{4})(?:[.,]\d+)?`
const SHORT_YEAR = String.raw`\d{1,2}([-/.])\d{1,2}[-/.]\d{2}(?:[T ].*)?`

/** Returns SQL of the end of a message about a text that is no date or time: the day that it means in a spreadsheet. */
export function dayNumberHint(text: string): string {
  // Spreadsheets count 29 February 1900, which did not exist, so day 0 is 30 December 1899.
  const day = `(date '1899-12-30' + try_cast(regexp_extract(${text}, ${lit(DAY_NUMBER)}, 1) as integer))`
  return `case when ${fullMatch(text, DAY_NUMBER)} then '; it looks like a spreadsheet''s day number (' || ${day} || ')' else '' end`
}

/** Returns SQL that is true if a text has a two-digit year and no format of the column does. */
export function hasUndeclaredShortYear(
  { formats }: Extract<Column, { type: 'date' | 'timestamp' }>,
  text: string,
): string {
  return formats.some(hasShortYear) ? 'false' : fullMatch(text, SHORT_YEAR)
}
