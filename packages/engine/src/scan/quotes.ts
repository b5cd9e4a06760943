import { CR, type Dialect, LF } from './options.ts'

/** States of a reading, as far as quotes are concerned. */
export const AT_FIELD_START = 0
export const IN_TEXT = 1
export const IN_QUOTES = 2
export const AFTER_QUOTE = 3

/** How a reading of quotes ended and where. */
export interface QuoteOutcome {
  readonly kind: 'ended' | 'text_after_quote' | 'open'
  readonly at: number
  readonly state: number
  /** Columns passed on the way, from 0. */
  readonly columns: number
}

/** Follows the quotes of one record from `from` in `state` until it ends, breaks, or `stop` is reached. */
export function followQuotes(
  bytes: Uint8Array,
  from: number,
  stop: number,
  state: number,
  dialect: Dialect,
): QuoteOutcome {
  const { delimiter, quote } = dialect
  let columns = 0
  let at = from
  for (; at < stop; at++) {
    const byte = bytes[at]
    if (state === IN_QUOTES) {
      if (byte === quote) state = AFTER_QUOTE
      continue
    }
    if (byte === LF || byte === CR) return { kind: 'ended', at, state, columns }
    if (byte === delimiter) {
      state = AT_FIELD_START
      columns++
    } else if (byte === quote && state !== IN_TEXT) state = IN_QUOTES
    else if (state === AFTER_QUOTE) return { kind: 'text_after_quote', at, state, columns }
    else state = IN_TEXT
  }
  return { kind: 'open', at, state, columns }
}

/** The columns of one physical line read by itself; -1 when its quotes do not work out or stand inside text. */
export function columnsOfLine(bytes: Uint8Array, from: number, lineEnd: number, dialect: Dialect): number {
  let columns = 1
  let state = AT_FIELD_START
  for (let at = from; at < lineEnd; at++) {
    const byte = bytes[at]
    if (byte === dialect.quote) {
      if (state === IN_TEXT) return -1
      state = state === IN_QUOTES ? AFTER_QUOTE : IN_QUOTES
    } else if (state !== IN_QUOTES && byte === dialect.delimiter) {
      columns++
      state = AT_FIELD_START
    } else if (state === AFTER_QUOTE) return -1
    else if (state === AT_FIELD_START) state = IN_TEXT
  }
  return state === IN_QUOTES ? -1 : columns
}
