import { type ByteEncoding, decodeText } from '../text.ts'
import { sequenceAt } from '../utf8.ts'
import { isApostrophe } from './apostrophe.ts'
import { type Census, FIRST_HIGH, type Sample } from './census.ts'
import { CODE_PAGES, type CodePage, isDefined } from './code-pages.ts'
import { ODD, plausibilityOf } from './plausibility.ts'

/** Why the encoding of a text is uncertain. */
export interface EncodingDoubt {
  /** Number of non-ASCII characters, and how many of them are odd in this encoding. */
  characters: number
  odd: number
  /** A piece of the text in this encoding and in another possible one. */
  sample: string
  rival: { encoding: ByteEncoding; sample: string } | null
  /** Position of the first byte that is not UTF-8, if the text was taken for UTF-8; the sample shows it. */
  invalid: { line: number } | null
}

/** The encoding of a text; `doubt` is null if it is certain. */
export interface EncodingGuess {
  encoding: ByteEncoding
  doubt: EncodingDoubt | null
}

/** The weight of one character more or less in UTF-8. */
const VALID_SEQUENCE = 3
const INVALID_BYTE = -6
/** How much better another encoding must be than the usual one, in total. */
const HEAD_START: Readonly<Record<ByteEncoding, number>> = {
  'utf-8': 0,
  'windows-1252': 2,
  macintosh: 0,
  ibm850: 0,
  ibm437: -0.5,
}
/** How much better another encoding may be than windows-1252 without raising a doubt. */
const LEEWAY = 0.5
/** A larger share of odd characters raises a doubt. */
const ODD_SHARE = 0.02

/** Semicolon, comma, bar and quote. */
const CELL_ENDS = [0x3b, 0x2c, 0x7c, 0x22]

interface Candidate {
  encoding: ByteEncoding
  score: number
  odd: number
  undefined: number
  /** How many of the odd characters are part of possible UTF-8 sequences. */
  mixed: number
  /** A sample of the most frequent odd context. */
  sample: Sample | null
}

/**
 * Guesses the encoding of a text that is not entirely UTF-8. UTF-8 and a plausible windows-1252 are certain. Every
 * other guess raises a doubt, because a wrong one would silently corrupt good text.
 */
export function guessEncoding(census: Census): EncodingGuess {
  const candidates = allCandidates(census)
  const [best] = [...candidates].sort((a, b) => startOf(b) - startOf(a))
  if (!best) throw new Error('there are no encodings')
  return { encoding: best.encoding, doubt: doubtOf(best, candidates, census) }
}

/** Returns the doubt about a declared encoding; null if the text is plausible in it. */
export function doubtDeclared(census: Census, declared: CodePage): EncodingDoubt | null {
  const candidates = allCandidates(census)
  const own = candidates.find(({ encoding }) => encoding === declared)
  return own && looksWrong(own, census) ? describe(own, rivalOf(own, candidates), census) : null
}

function allCandidates(census: Census): Candidate[] {
  const { sequences, invalid } = census.utf8
  const score = sequences * VALID_SEQUENCE + invalid * INVALID_BYTE
  const sample = census.firstInvalid?.sample ?? null
  const utf8 = { encoding: 'utf-8' as const, score, odd: invalid, undefined: 0, mixed: 0, sample }
  return [utf8, ...CODE_PAGES.map((page) => candidateOf(census, page))]
}

function candidateOf(census: Census, page: CodePage): Candidate {
  const { score } = plausibilityOf(page)
  const found: Candidate = { encoding: page, score: 0, odd: 0, undefined: 0, mixed: 0, sample: null }
  let most = 0
  for (const { before, byte, after, count, sample } of census.contexts) {
    const points = score(before, byte, after)
    found.score += points * count
    if (points > ODD) continue
    found.odd += count
    if (!isDefined(page, byte)) found.undefined += count
    if (before >= FIRST_HIGH + 0x42 && byte < 0xc0 && census.utf8.sequences > 0) found.mixed += count
    if (count <= most) continue
    most = count
    found.sample = sample
  }
  return found
}

function doubtOf(best: Candidate, candidates: readonly Candidate[], census: Census): EncodingDoubt | null {
  const rival = rivalOf(best, candidates)
  const { sequences, invalid } = census.utf8
  const isSure =
    best.encoding === 'utf-8'
      ? invalid * 2 <= sequences
      : best.encoding === 'windows-1252' &&
        !looksWrong(best, census) &&
        rival.score <= best.score + LEEWAY &&
        !(rival.score >= best.score - LEEWAY && hasWrongApostrophe(census))
  return isSure ? null : describe(best, rival, census)
}

/**
 * Returns true if the byte that is an apostrophe in windows-1252, and an í in MacRoman, occurs where an apostrophe does
 * not.
 */
function hasWrongApostrophe({ contexts }: Census): boolean {
  return contexts.some(({ byte, sample }) => byte === 0x92 && sample !== null && !isApostrophe(sample))
}

function looksWrong({ odd, undefined: without, mixed }: Candidate, { characters }: Census): boolean {
  return without > 0 || mixed > 0 || odd > characters * ODD_SHARE
}

/** Returns the encoding to try next. */
function rivalOf(own: Candidate, candidates: readonly Candidate[]): Candidate {
  const others = candidates.filter((one) => one !== own).sort((a, b) => b.score - a.score)
  const wanted = own.mixed > 0 ? 'utf-8' : own.encoding === 'windows-1252' ? undefined : 'windows-1252'
  const rival = others.find(({ encoding }) => encoding === wanted) ?? others[0]
  if (!rival) throw new Error('there is one encoding only')
  return rival
}

function startOf({ encoding, score }: Candidate): number {
  return score + HEAD_START[encoding]
}

function describe(own: Candidate, rival: Candidate, census: Census): EncodingDoubt {
  const bytes = sampleOf(own, rival, census)
  const sample = shown(bytes, own.encoding)
  const other = { encoding: rival.encoding, sample: shown(bytes, rival.encoding) }
  return {
    characters: census.characters,
    odd: own.odd,
    sample,
    rival: other.sample === sample ? null : other,
    invalid: own.encoding === 'utf-8' && census.firstInvalid ? { line: census.firstInvalid.line } : null,
  }
}

/** Returns the bytes of the cell around a character that is odd in this encoding, else in the other one, else any. */
function sampleOf(own: Candidate, rival: Candidate, { contexts }: Census): Uint8Array {
  const sample = own.sample ?? rival.sample ?? contexts[0]?.sample
  if (!sample) return new Uint8Array(0)
  const { bytes, at } = sample
  const end = bytes.findIndex((byte, i) => i > at && isCellEnd(byte))
  const start = bytes.subarray(0, at).findLastIndex(isCellEnd) + 1
  return bytes.subarray(start === 0 ? firstWhole(bytes, at) : start, end < 0 ? lastWhole(bytes, at) : end)
}

/** Returns the start of a truncated sample, moved so that it does not split a UTF-8 sequence. */
function firstWhole(bytes: Uint8Array, at: number): number {
  const start = bytes.findIndex((byte) => !isContinuation(byte))
  return start < 0 ? at : Math.min(start, at)
}

/** Returns the end of a truncated sample, moved in the same way. */
function lastWhole(bytes: Uint8Array, at: number): number {
  for (let from = Math.max(at + 1, bytes.length - 3); from < bytes.length; from++)
    if (sequenceAt(bytes, from, bytes.length) === -1) return from
  return bytes.length
}

function isContinuation(byte: number): boolean {
  return byte >= 0x80 && byte < 0xc0
}

function isCellEnd(byte: number): boolean {
  return byte < 0x20 || CELL_ENDS.includes(byte)
}

/** Formats a sample for display. */
function shown(bytes: Uint8Array, encoding: ByteEncoding): string {
  return decodeText(bytes, encoding)
    .replace(/\p{Cc}/gu, '\ufffd')
    .trim()
}
