import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { type ImportWarning, type ImportWarningCode, importWarning } from '@aduana/contracts/import-warnings'
import type { LoadPreview } from '@aduana/contracts/load-preview'
import { jsonb } from '@aduana/db/jsonb'
import { type RawBuilder, sql } from 'kysely'

/** What a load found, or would find, among the rows that are there. */
export type FoundRows = Pick<LoadPreview, 'alreadyPresent' | 'sameVersion'>

/** Returns what a person should know of the rows that a load met. `rows` is how many it has. */
export function loadWarnings(
  definition: DatasetDefinition,
  rows: number,
  { alreadyPresent, sameVersion }: FoundRows,
): ImportWarning[] {
  const warnings: ImportWarning[] = []
  if (alreadyPresent > 0)
    warnings.push(
      importWarning(
        'rows_already_present',
        `${alreadyPresent} of ${rows} rows equal rows that are in the table already, in all columns; an append adds them once more. If they were sent twice by mistake, cancel this import, or undo it.`,
        { count: alreadyPresent },
      ),
    )
  if (sameVersion.rows > 0)
    warnings.push(
      importWarning(
        'same_version',
        `${sameVersion.rows} ${sameVersion.rows === 1 ? 'record has' : 'records have'} the version (${definition.versionColumn}) of the stored row, but other values, for example ${sameVersion.example}. The newer file wins. If the stored values are right, cancel this import, or undo it.`,
        { column: definition.versionColumn ?? null, count: sameVersion.rows },
      ),
    )
  return warnings
}

const CODES: readonly ImportWarningCode[] = ['rows_already_present', 'same_version', 'already_imported']

/** SQL: what is known of a job, with these warnings of its load in place of those of an earlier look. */
export function resultWithWarnings(warnings: readonly ImportWarning[]): RawBuilder<string> {
  return sql<string>`jsonb_set(coalesce(result, '{}'), '{warnings}',
    (select coalesce(jsonb_agg(w order by place), '[]') from jsonb_array_elements(coalesce(result -> 'warnings', '[]'))
        with ordinality as known(w, place) where w ->> 'code' <> all (${[...CODES]}::text[])) || ${jsonb([...warnings])}::jsonb)`
}
