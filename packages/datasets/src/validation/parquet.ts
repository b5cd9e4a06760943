import { lit } from '../literals.ts'

/** SQL that writes the rows of a query to a Parquet file; `columns` is their number. Snappy costs the least time. */
export function copyTo(path: string, query: string, columns = 0): string {
  const groups =
    columns > WIDE
      ? `, row_group_size ${ROWS_OF_WIDE}, string_dictionary_page_size_limit ${Math.floor(TEXTS_OF_WIDE / columns)}`
      : ''
  return `copy (${query}) to ${lit(path)} (format parquet, compression snappy${groups})`
}

/**
 * A row group is put together in memory, and room for the texts of a dictionary is taken beforehand for each column: of
 * hundreds of columns they have fewer rows and bytes than DuckDB likes.
 */
const WIDE = 80
const ROWS_OF_WIDE = 4096
const TEXTS_OF_WIDE = 80_000_000
