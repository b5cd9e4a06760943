import { type DatasetDefinition, maxLengthOf } from '@aduana/contracts/dataset-definition'
import type { CatalogueColumn, CatalogueTable } from './catalogue.ts'
import { type TargetColumn, targetColumns } from './target.ts'

/** The limit on the bytes that the values of a record take in a row, after long values are moved out of line. */
export interface RowSize {
  most: number
  /** Bytes that every row takes, regardless of its values. */
  always: number
  /** Columns of the definition, with the maximum bytes of a value that is not null. */
  columns: readonly { name: string; text: boolean; bytes: number }[]
}

/** A row must fit into one page (`MaxHeapTupleSize`). */
const MAX_ROW_BYTES = 8160
const HEADER = 23
/** Only longer values are moved out of line (`toast_tuple_find_biggest_attribute`). */
export const MAX_INLINE_BYTES = 24
/** Bytes that a value moved out of line leaves in the row. */
export const POINTER = 18

/** Types of a fixed length, and their alignment. */
const FIXED: Readonly<Record<string, { bytes: number; alignment: number }>> = {
  boolean: { bytes: 1, alignment: 1 },
  smallint: { bytes: 2, alignment: 2 },
  integer: { bytes: 4, alignment: 4 },
  date: { bytes: 4, alignment: 4 },
  bigint: { bytes: 8, alignment: 8 },
  'timestamp with time zone': { bytes: 8, alignment: 8 },
  uuid: { bytes: 16, alignment: 1 },
}

/**
 * Returns the limit on rows of a definition's table if records can exceed it, which requires hundreds of columns. It counts
 * the maximum that PostgreSQL may need, so a record close to the limit may be rejected although it would fit.
 */
export function rowSizeOf(
  definition: DatasetDefinition,
  catalogue: readonly CatalogueTable[],
): RowSize | undefined {
  const { schema, name } = definition.table
  const table = catalogue.find((entry) => entry.schema === schema && entry.name === name)
  if (!table) return undefined
  const loaded = new Map(targetColumns(definition).map((column) => [column.name, column]))
  const columns: RowSize['columns'][number][] = []
  let always = 0
  let before = 8
  for (const column of table.columns) {
    const target = loaded.get(column.name)
    if (!target && !column.filled) continue
    const { bytes, alignment } = sizeOf(column, target)
    const padded = bytes + (before < alignment ? alignment - 1 : 0)
    before = alignment
    if (target?.source) {
      const text = target.role === 'value' && target.source.type === 'text'
      columns.push({ name: target.source.name, text, bytes: padded })
    } else always += padded
  }
  const most = MAX_ROW_BYTES - Math.ceil((HEADER + Math.ceil(table.columns.length / 8)) / 8) * 8
  const worst = columns.reduce((sum, { bytes }) => sum + bytes, always)
  return worst > most ? { most, always, columns } : undefined
}

/** Returns the maximum bytes of a value in a row, and its alignment. */
function sizeOf(
  { type }: CatalogueColumn,
  target: TargetColumn | undefined,
): { bytes: number; alignment: number } {
  const fixed = FIXED[type]
  if (fixed) return fixed
  const source = target?.source
  // A sign, a weight, and two bytes per four digits on either side of the decimal mark.
  if (source?.type === 'decimal' || source?.type === 'integer') {
    const [whole, fraction] =
      source.type === 'decimal' ? [source.precision - source.scale, source.scale] : [19, 0]
    const bytes = 3 + 2 * (Math.ceil(whole / 4) + Math.ceil(fraction / 4))
    return { bytes: Math.min(MAX_INLINE_BYTES, bytes), alignment: 1 }
  }
  if (source?.type === 'text')
    return { bytes: Math.min(MAX_INLINE_BYTES, 1 + maxLengthOf(source) * 4), alignment: 1 }
  // Long values in columns that a load does not fill are moved out of line as well.
  return { bytes: MAX_INLINE_BYTES, alignment: target ? 1 : 8 }
}
