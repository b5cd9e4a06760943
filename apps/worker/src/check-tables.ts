import { readCatalogue } from '@aduana/datasets/catalogue'
import { checkFit } from '@aduana/datasets/fit'
import type { RegisteredDataset } from '@aduana/datasets/registry'
import type pg from 'pg'

/** Definitions do not fit their tables; the message lists everything that differs. */
export class DefinitionMismatchError extends Error {
  override readonly name = 'DefinitionMismatchError'
}

/**
 * Check every dataset against its table before anything runs.
 * @throws DefinitionMismatchError
 */
export async function checkTables(pool: pg.Pool, datasets: readonly RegisteredDataset[]): Promise<void> {
  const problems: string[] = []
  for (const { code, definition } of datasets) {
    const found = checkFit(definition, await readCatalogue(pool, definition))
    problems.push(...found.map((problem) => `${code}: ${problem}`))
  }
  if (problems.length > 0)
    throw new DefinitionMismatchError(
      `Dataset definitions do not fit their tables:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    )
}
