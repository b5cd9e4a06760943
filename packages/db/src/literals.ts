import { type RawBuilder, sql } from 'kysely'

/** Returns SQL of texts as literals, for `in (…)`. With literals instead of parameters PostgreSQL can use a partial index. */
export function literals(texts: readonly string[]): RawBuilder<string> {
  return sql.join(texts.map((text) => sql.lit(text)))
}

/** Returns texts as the text of a PostgreSQL array. */
export function arrayText(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`
}
