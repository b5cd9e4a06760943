/** A value as the text of a jsonb parameter, with its texts as PostgreSQL holds them. */
export function jsonb(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'string' ? replaceUnstorable(part) : part,
  )
}

/** A text in which signs stand in the place of what PostgreSQL's text does not hold: NUL, and halves of surrogate pairs. */
export function replaceUnstorable(text: string): string {
  return text.replace(/[\0\p{Surrogate}]/gu, (found) => (found === '\0' ? '\u2400' : '\uFFFD'))
}
