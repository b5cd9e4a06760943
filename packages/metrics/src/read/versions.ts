import type { Principal } from '@aduana/contracts/identity'
import { MetricDefinition, SeriesDefinition } from '@aduana/contracts/metrics/definition'
import type { MetricVersion, SeriesVersion } from '@aduana/contracts/metrics/http'
import { ProblemError } from '@aduana/contracts/problems'
import type { VersionQuery } from '@aduana/contracts/versions'
import { type Database, readAs } from '@aduana/db/database'
import type { Page } from '@aduana/jobs/read/jobs'
import { readVersions } from '@aduana/jobs/read/version-pages'
import { findMetric } from './metrics.ts'

/** Returns the versions of a metric, newest first. @throws ProblemError `unknown_metric` */
export function readMetricVersions(
  db: Database,
  principal: Principal,
  code: string,
  query: VersionQuery,
): Promise<Page<MetricVersion>> {
  return readAs(db, principal, async (tx) => {
    const { id } = await findMetric(tx, principal, code)
    return readVersions(tx, 'metric_versions', id, MetricDefinition, query)
  })
}

/** Returns the versions of a series, newest first. @throws ProblemError `unknown_series` */
export async function readSeriesVersions(
  db: Database,
  code: string,
  query: VersionQuery,
): Promise<Page<SeriesVersion>> {
  const series = await db.selectFrom('series').select('id').where('code', '=', code).executeTakeFirst()
  if (!series) throw new ProblemError('unknown_series', `There is no series "${code}".`)
  return readVersions(db, 'series_versions', series.id, SeriesDefinition, query)
}
