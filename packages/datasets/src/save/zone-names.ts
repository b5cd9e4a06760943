import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DatasetProblem } from '@aduana/contracts/datasets'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { columnPath } from '../placed-problems.ts'

/**
 * Returns problems of time zones that PostgreSQL does not know, or reads as the abbreviation of a fixed offset
 * although the zone changes its clocks, such as CET.
 */
export async function zoneNameProblems(tx: Tx, definition: DatasetDefinition): Promise<DatasetProblem[]> {
  const columns = definition.columns.filter((column) => column.type === 'timestamp')
  if (columns.length === 0) return []
  const zones = await knownZones(
    tx,
    columns.map(({ timeZone }) => timeZone),
  )
  return columns.flatMap(({ name, timeZone }) => {
    const path = `${columnPath(definition, name)}.timeZone`
    const fixed = zones.get(timeZone)
    const wrong =
      fixed === undefined
        ? `PostgreSQL does not know the time zone "${timeZone}". Use a name such as America/Bogota.`
        : fixed && changesClocks(timeZone)
          ? `PostgreSQL reads the time zone "${timeZone}" as a fixed offset. Use a name such as Europe/Madrid.`
          : undefined
    return wrong === undefined ? [] : [{ path, code: 'contradiction', message: wrong }]
  })
}

/** Returns the zones that PostgreSQL knows, each with whether it is also the abbreviation of a fixed offset. */
async function knownZones(tx: Tx, zones: readonly string[]): Promise<ReadonlyMap<string, boolean>> {
  const { rows } = await sql<{ name: string; fixed: boolean }>`select z.name,
      exists (select from pg_timezone_abbrevs a where a.abbrev = upper(z.name)) as fixed
    from pg_timezone_names z where z.name = any (${zones}::text[])`.execute(tx)
  return new Map(rows.map(({ name, fixed }) => [name, fixed]))
}

/** Returns whether a zone had summer time in 2024. */
function changesClocks(timeZone: string): boolean {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset', hour: 'numeric' })
  const offset = (month: number) =>
    format.formatToParts(Date.UTC(2024, month, 1)).find(({ type }) => type === 'timeZoneName')?.value
  return offset(0) !== offset(6)
}
