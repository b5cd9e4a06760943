import type { Grain } from '@aduana/contracts/metrics/definition'
import { cellColumns } from './sql-text.ts'

/** A table with one row per day and cell on which there are rows or values. */
export interface LeafTable {
  name: string
  grain: Grain
}

/** Where the values of an aggregate or a metric are stored. */
export interface Leaf {
  table: LeafTable
  column: string
  /** The table with a row for each day and cell that has input rows. Undefined when a value itself shows that. */
  presence: LeafTable | undefined
  /** Whether the value is 0, instead of missing, where there are input rows but no value. */
  zero: boolean
}

/** Leaves, by `leafKey`. */
export type Leaves = Map<string, Leaf>

/** Returns the key of a leaf of one grain. */
export function leafKey(grain: Grain, key: string): string {
  return `${grain} ${key}`
}

/** Returns the columns by which a leaf table is grouped. */
export function groupColumns(grain: Grain): string {
  return ['day', ...cellColumns(grain)].join(', ')
}

/** Returns the SQL condition that a row belongs to a cell of the grain. */
export function inCell(grain: Grain): string {
  return cellColumns(grain)
    .map((column) => `${column} is not null`)
    .join(' and ')
    .replace(/^$/, 'true')
}

/** Splits a list into parts of at most `most` items. */
export function chunksOf<T>(items: readonly T[], most: number): T[][] {
  const pieces: T[][] = []
  for (let at = 0; at < items.length; at += most) pieces.push(items.slice(at, at + most))
  return pieces
}
