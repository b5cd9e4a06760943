/** Returns a value as the text of a jsonb parameter. Characters that PostgreSQL cannot store are replaced. */
export function jsonb(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'string' ? replaceUnstorable(part) : part,
  )
}

/** Replaces what PostgreSQL cannot store in text: NUL by U+2400, unpaired surrogates by U+FFFD. */
export function replaceUnstorable(text: string): string {
  return text.replace(/[\0\p{Surrogate}]/gu, (found) => (found === '\0' ? '\u2400' : '\uFFFD'))
}
