import { lit } from '../literals.ts'

/** Returns SQL that writes the rows of a query with `columns` columns to a Parquet file. Snappy takes the least time. */
export function copyTo(path: string, query: string, columns = 0): string {
  const groups =
    columns > WIDE
      ? `, row_group_size ${ROWS_OF_WIDE}, string_dictionary_page_size_limit ${Math.floor(TEXTS_OF_WIDE / columns)}`
      : ''
  return `copy (${query}) to ${lit(path)} (format parquet, compression snappy${groups})`
}

/**
 * DuckDB builds a row group in memory, and allocates a dictionary for each column beforehand. With hundreds of columns, row
 * groups have fewer rows and bytes than by default.
 */
const WIDE = 80
const ROWS_OF_WIDE = 4096
const TEXTS_OF_WIDE = 80_000_000
