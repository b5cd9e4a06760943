import { isBom, isSpace } from '../marks.ts'
import { blankAt, CR, type Dialect, LF } from './options.ts'

/** States of a reading with regard to quotes. */
export const AT_FIELD_START = 0
export const IN_TEXT = 1
export const IN_QUOTES = 2
/** Immediately after a quote that may be the closing one. */
export const AFTER_QUOTE = 3
/** In the blanks after a closing quote. */
export const AFTER_FIELD = 4

/** The current state of a reading. */
export interface QuoteState {
  state: number
  /** The quoted field spans several lines. */
  spans: boolean
  /** Absolute offset of the last quote that may have closed a field. */
  closing: number
}

/** How and where a reading of quotes ended. */
export interface QuoteOutcome extends QuoteState {
  readonly kind: 'ended' | 'unclosed' | 'open'
  readonly at: number
}

/** The available bytes: `[0, end)` of `work`, whose first byte has the offset `base`. */
interface AtHand {
  readonly work: Uint8Array
  readonly base: number
  readonly end: number
  readonly dialect: Dialect
}

/** Follows the quotes of one record from `from` until it ends, proves to be unclosed, or `stop` is reached. */
export function followQuotes(hand: AtHand, from: number, stop: number, begun: QuoteState): QuoteOutcome {
  const { work, base, end } = hand
  const { delimiter, quote } = hand.dialect
  let { state, spans, closing } = begun
  let at = from
  for (; at < stop; at++) {
    const byte = work[at] as number
    if (state === IN_QUOTES) {
      if (byte === quote) {
        state = AFTER_QUOTE
        closing = base + at
      } else if (byte === LF || byte === CR) spans = true
    } else if (byte === LF || byte === CR) return { kind: 'ended', at, state, spans, closing }
    else if (byte === delimiter) state = AT_FIELD_START
    else if (byte === quote && (state === AFTER_QUOTE || state === AT_FIELD_START)) {
      if (state === AT_FIELD_START) spans = false
      state = IN_QUOTES
    } else if (state === AT_FIELD_START && isBom(work, at, end)) at += 2
    else if (blankAt(work, at, end, hand.dialect) > 0) {
      if (state === AFTER_QUOTE) state = AFTER_FIELD
      at += blankAt(work, at, end, hand.dialect) - 1
    } else {
      const closed = state === AFTER_QUOTE || state === AFTER_FIELD
      if (closed && spans && opensField(work, closing - base, hand.dialect))
        return { kind: 'unclosed', at, state, spans, closing }
      state = IN_TEXT
    }
  }
  return { kind: 'open', at, state, spans, closing }
}

/**
 * Returns true if the quote at `at` is at the start of a field. If a quote closes a field over several lines there and
 * has text after it, it opens another field: the first one was never closed.
 */
export function opensField(bytes: Uint8Array, at: number, { delimiter, blanks, space }: Dialect): boolean {
  let before = at
  for (;;) {
    if (blanks[bytes[before - 1] as number] === 1) before--
    else if (isSpace(bytes, before - space.length, before, space)) before -= space.length
    else break
  }
  const byte = bytes[before - 1]
  return byte === delimiter || byte === LF || byte === CR
}

/**
 * Returns the number of columns of one physical line read by itself; 0 if it has no value, -1 if it is not a complete
 * record, because a quote stays open.
 */
export function columnsOfLine(bytes: Uint8Array, from: number, lineEnd: number, dialect: Dialect): number {
  const { delimiter, quote, space } = dialect
  let columns = 1
  let filled = false
  let state = AT_FIELD_START
  for (let at = from; at < lineEnd; at++) {
    const byte = bytes[at] as number
    if (state === IN_QUOTES) {
      if (byte === quote) state = AFTER_QUOTE
      else if (isSpace(bytes, at, lineEnd, space)) at += space.length - 1
      else if (byte !== 0x20 && byte !== 0x09) filled = true
    } else if (byte === delimiter) {
      columns++
      state = AT_FIELD_START
    } else if (byte === quote && (state === AFTER_QUOTE || state === AT_FIELD_START)) {
      if (state === AFTER_QUOTE) filled = true
      state = IN_QUOTES
    } else if (state === AT_FIELD_START && isBom(bytes, at, lineEnd)) at += 2
    else if (blankAt(bytes, at, lineEnd, dialect) > 0) {
      if (state === AFTER_QUOTE) state = AFTER_FIELD
      at += blankAt(bytes, at, lineEnd, dialect) - 1
    } else {
      filled = true
      state = IN_TEXT
    }
  }
  if (state === IN_QUOTES) return -1
  return filled ? columns : 0
}
