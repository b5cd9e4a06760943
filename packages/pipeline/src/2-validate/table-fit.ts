import { readCatalogue } from '@aduana/datasets/catalogue'
import { checkFit } from '@aduana/datasets/fit'
import { RefusedError } from '../refused.ts'
import type { StageJob } from '../stage.ts'

/**
 * Somebody may have changed or dropped the table of a dataset, which concerns the imports of that dataset only.
 * @throws RefusedError with everything that differs from the definition
 */
export async function mustFitTable({ context, facts }: StageJob): Promise<void> {
  const { definition } = facts
  const differences = checkFit(definition, await readCatalogue(context.pool, definition))
  if (differences.length === 0) return
  throw new RefusedError({
    code: 'table_differs',
    detail: `The definition of the dataset does not fit its table: ${differences.join('; ')}. Nothing was changed. Mend the table and retry the job, or change the definition and send the file again.`,
  })
}
