import { readCatalogue } from '@aduana/datasets/catalogue'
import { checkFit } from '@aduana/datasets/fit'
import { listDatasets } from '@aduana/datasets/registry'
import type { Database } from '@aduana/db/database'
import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'

/**
 * Say which datasets do not fit their tables, before somebody's file finds it out. Their imports will be refused; those of
 * all others are not to wait for it.
 */
export async function checkTables(db: Database, pool: pg.Pool, logger: Logger): Promise<void> {
  for (const { code, definition } of await listDatasets(db)) {
    const differences = checkFit(definition, await readCatalogue(pool, definition))
    if (differences.length > 0)
      logger.error(
        { event: 'datasets.do_not_fit', dataset: code, differences },
        'Its imports will be refused',
      )
  }
}
