/**
 * Returns a text as a SQL literal for DuckDB, and for PostgreSQL with standard_conforming_strings.
 * Throws on a NUL character, which neither can store.
 */
export function lit(text: string): string {
  if (text.includes('\0')) throw new Error('a text with a NUL character cannot be part of a statement')
  return `'${text.replaceAll("'", "''")}'`
}

/** Returns texts as a comma-separated list of SQL literals. */
export function literals(texts: readonly string[]): string {
  return texts.map(lit).join(', ')
}

/**
 * Returns a name as a quoted SQL identifier for DuckDB and PostgreSQL. Throws on an empty name, a NUL character, or more
 * than 63 bytes, which PostgreSQL would truncate.
 */
export function quoteIdentifier(name: string): string {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > 63)
    throw new Error(`${JSON.stringify(name)} cannot be an identifier: 1 to 63 bytes and no NUL`)
  return `"${name.replaceAll('"', '""')}"`
}

/** Returns a number in plain decimal notation: 1e-7 becomes 0.0000001. Throws if it is not finite. */
export function plainNumber(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`${value} cannot be part of a rule`)
  const [mantissa = '', exponent] = String(value).split('e')
  if (exponent === undefined) return mantissa
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.')
  const point = whole.length + Number(exponent)
  const digits = whole + fraction
  const sign = value < 0 ? '-' : ''
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) return `${sign}${digits}${'0'.repeat(point - digits.length)}`
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

/** Returns the number of digits that a number needs before and after the decimal mark. */
export function digitsOf(value: number): { whole: number; fraction: number } {
  const [whole = '', fraction = ''] = plainNumber(value).replace('-', '').split('.')
  return { whole: whole.replace(/^0+/, '').length, fraction: fraction.length }
}

/**
 * Returns SQL that is true if the text is in the list, and NULL for NULL. It avoids `in`, which DuckDB turns into a join for
 * more than a few literals; joins for hundreds of columns take memory and time that grow quadratically.
 */
export function isOneOf(text: string, list: readonly string[]): string {
  return `list_contains([${literals(list)}]::varchar[], ${text})`
}
