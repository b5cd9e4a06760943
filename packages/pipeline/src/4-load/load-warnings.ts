import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { counted, figure } from '@aduana/contracts/figures'
import { type ImportWarning, type ImportWarningCode, importWarning } from '@aduana/contracts/import-warnings'
import type { LoadPreview } from '@aduana/contracts/load-preview'
import { TAKE_BACK } from '@aduana/contracts/send-again'
import { jsonb } from '@aduana/db/jsonb'
import { type RawBuilder, sql } from 'kysely'

/** What a load found, or would find, among the existing rows. */
export type FoundRows = Pick<LoadPreview, 'alreadyPresent' | 'sameVersion'>

/** Up to this number, removed rows cause no warning, however few rows replace them. */
const FEW_ROWS = 10

/**
 * Returns the warnings about the existing rows that a load affects. `rows` is the number of rows of the load, `removed`
 * the number of rows that the replaced days had. The texts hold for a completed load, a waiting one and a dry run.
 */
export function loadWarnings(
  definition: DatasetDefinition,
  { rows, removed }: { rows: number; removed: number },
  { alreadyPresent, sameVersion }: FoundRows,
): ImportWarning[] {
  const warnings: ImportWarning[] = []
  if (removed > FEW_ROWS && rows * 2 < removed)
    warnings.push(
      importWarning(
        'many_rows_removed',
        `The import removes the ${figure(removed)} rows that its days had before, and inserts ${counted(rows, 'row')} in their place. If rows are missing from the file, ${TAKE_BACK}. Then send the whole file.`,
        { count: removed },
      ),
    )
  if (alreadyPresent > 0)
    warnings.push(
      importWarning(
        'rows_already_present',
        `${figure(alreadyPresent)} of ${counted(rows, 'row')} ${alreadyPresent === 1 ? 'is' : 'are'} already in the table, with the same values in all columns. An append adds such rows again. If that is not wanted, ${TAKE_BACK}.`,
        { count: alreadyPresent },
      ),
    )
  if (sameVersion.rows > 0)
    warnings.push(
      importWarning(
        'same_version',
        `${counted(sameVersion.rows, 'record')} ${sameVersion.rows === 1 ? 'has' : 'have'} the same version (${definition.versionColumn}) as the stored row, but other values, for example ${sameVersion.example}. The values of the file take precedence. If the stored values are right, ${TAKE_BACK}.`,
        { column: definition.versionColumn ?? null, count: sameVersion.rows },
      ),
    )
  return warnings
}

const CODES: readonly ImportWarningCode[] = [
  'many_rows_removed',
  'rows_already_present',
  'same_version',
  'already_imported',
]

/**
 * Returns SQL that puts these warnings in place of those of an earlier preview in the result of a job. `first` are the
 * warnings that come before all others.
 */
export function resultWithWarnings(
  warnings: readonly ImportWarning[],
  first: readonly ImportWarning[] = [],
): RawBuilder<string> {
  return sql<string>`jsonb_set(coalesce(result, '{}'), '{warnings}',
    ${jsonb([...first])}::jsonb || (select coalesce(jsonb_agg(w order by place), '[]') from jsonb_array_elements(coalesce(result -> 'warnings', '[]'))
        with ordinality as known(w, place) where w ->> 'code' <> all (${[...CODES]}::text[])) || ${jsonb([...warnings])}::jsonb)`
}
