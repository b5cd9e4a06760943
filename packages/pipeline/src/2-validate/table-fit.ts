import { type CatalogueTable, readCatalogue } from '@aduana/datasets/catalogue'
import { checkFit } from '@aduana/datasets/fit'
import { RefusedError } from '../refused.ts'
import type { StageJob } from '../stage.ts'

/**
 * Reads the tables of the dataset from the catalogue. Reads them for each import, because they can be altered or
 * dropped.
 * @throws RefusedError with every difference from the definition
 */
export async function requireFittingTables({ context, facts }: StageJob): Promise<CatalogueTable[]> {
  const { definition } = facts
  const catalogue = await readCatalogue(context.pool, definition)
  const differences = checkFit(definition, catalogue)
  if (differences.length === 0) return catalogue
  throw new RefusedError({
    code: 'table_differs',
    detail: `The table does not match the definition of the dataset: ${differences.join('; ')}. Nothing was changed. Correct the table and retry the job, or change the definition and send the file again.`,
  })
}
