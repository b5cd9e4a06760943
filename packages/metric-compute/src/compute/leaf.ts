import type { Grain } from '@aduana/contracts/metrics/definition'
import { cellColumns } from './sql-text.ts'

/** A table with one row for each day and cell on which something has rows or values. */
export interface LeafTable {
  name: string
  grain: Grain
}

/** Where the value of an aggregate or a metric is. */
export interface Leaf {
  table: LeafTable
  column: string
  /** The table whose row for a day and cell says that there is something beneath; none: the value itself says it. */
  presence: LeafTable | undefined
  /** Where there is something beneath and no value: 0, or nothing. */
  zero: boolean
}

/** Leaves by grain and key. */
export type Leaves = Map<string, Leaf>

/** The key of a leaf of one grain. */
export function leafKey(grain: Grain, key: string): string {
  return `${grain} ${key}`
}

/** The columns that a leaf table is gathered by. */
export function groupColumns(grain: Grain): string {
  return ['day', ...cellColumns(grain)].join(', ')
}

/** Condition that a row belongs to a cell of the grain. */
export function inCell(grain: Grain): string {
  return cellColumns(grain)
    .map((column) => `${column} is not null`)
    .join(' and ')
    .replace(/^$/, 'true')
}

/** A list in pieces of at most so many. */
export function chunksOf<T>(items: readonly T[], most: number): T[][] {
  const pieces: T[][] = []
  for (let at = 0; at < items.length; at += most) pieces.push(items.slice(at, at + most))
  return pieces
}
