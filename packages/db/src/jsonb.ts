/**
 * A value as the text of a jsonb parameter. PostgreSQL holds no NUL in it; the sign for NUL stands in its place.
 */
export function jsonb(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'string' ? visible(part) : part))
}

/** A text in which the sign for NUL stands in the place of NUL, which PostgreSQL's text does not hold. */
export function visible(text: string): string {
  return text.replaceAll('\0', '\u2400')
}
