import { readCatalogue } from '@aduana/datasets/catalogue'
import { checkFit } from '@aduana/datasets/fit'
import { listDatasets } from '@aduana/datasets/registry'
import type { Database } from '@aduana/db/database'
import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'

/**
 * Logs the datasets that do not fit their tables, so that this is known before the first import. Their imports are refused;
 * other datasets are not affected.
 */
export async function checkTables(db: Database, pool: pg.Pool, logger: Logger): Promise<void> {
  for (const { code, definition } of await listDatasets(db)) {
    const differences = checkFit(definition, await readCatalogue(pool, definition))
    if (differences.length > 0)
      logger.error(
        { event: 'datasets.do_not_fit', dataset: code, differences },
        'The table does not match the definition of the dataset. Imports into the dataset will fail',
      )
  }
}
