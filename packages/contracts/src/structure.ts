/** Returns a path as text, such as `columns[2].name`. */
export function pathOf(parts: readonly PropertyKey[]): string {
  return parts.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? String(part) : `${text}.${String(part)}`
  }, '')
}

/** Returns the nesting depth of a value, at most `max` + 1. */
export function nestingOf(value: unknown, max: number): number {
  if (max < 0 || typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map((inner) => nestingOf(inner, max - 1)))
}
