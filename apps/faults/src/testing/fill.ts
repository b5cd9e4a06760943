import type { TestSystem } from '@aduana/testkit/system'
import { type MonthFile, monthFile } from './month-files.ts'

/** Accepts `count` files, each with a month of its own, and returns them. */
export async function acceptMonths(
  system: TestSystem,
  count: number,
  options: { from?: number; rows?: number } = {},
): Promise<MonthFile[]> {
  const { from = 0, rows } = options
  const files = Array.from({ length: count }, (_, index) => monthFile(from + index, 'f', rows))
  for (const file of files) await system.accept(file.content, { dataset: 'production' })
  return files
}

/** Returns whether a stage of any job is done; with `stage`, whether that one is. */
export async function stageDone(system: TestSystem, stage?: string): Promise<boolean> {
  const rows = await system.database.pool.query(
    `select 1 from stage_results where state = 'done' and ($1::text is null or stage = $1) limit 1`,
    [stage ?? null],
  )
  return rows.rowCount === 1
}
