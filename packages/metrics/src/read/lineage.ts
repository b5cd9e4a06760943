import type { Principal } from '@aduana/contracts/identity'
import { Lineage } from '@aduana/contracts/metrics/http'
import { type Database, readAs } from '@aduana/db/database'
import { sql } from 'kysely'
import { z } from 'zod'
import { findMetric } from './metrics.ts'
import { isVisibleToRole } from './sql.ts'

const Rows = Lineage.shape

/**
 * Returns what a metric is computed from, down to series and datasets, and what is computed from it. Metrics that
 * need another role are left out. @throws ProblemError `unknown_metric`
 */
export function readLineage(db: Database, principal: Principal, code: string): Promise<Lineage> {
  return readAs(db, principal, async (tx) => {
    const { id } = await findMetric(tx, principal, code)
    const graph = sql`with recursive inputs as (
        select ${id}::uuid as id
        union
        select n.needs_metric_id from inputs b join metric_dependencies n on n.metric_id = b.id
        where n.needs_metric_id is not null
      ), above as (
        select ${id}::uuid as id
        union
        select n.metric_id from above a join metric_dependencies n on n.needs_metric_id = a.id
      ), sided as (
        select id, case when id = ${id} then 'itself' else 'beneath' end as side from inputs
        union all
        select id, 'above' from above where id <> ${id}
      ), shown as (
        select m.id, m.code, m.level, v.definition -> 'title' as title, s.side
        from sided s join metrics m on m.id = s.id
          join metric_versions v on v.metric_id = m.id and v.version = m.current_version
        where ${isVisibleToRole(principal)}
      ), used as (
        select distinct s.id, s.code, s.title, p.dataset_id
        from shown m join metric_dependencies n on n.metric_id = m.id join series s on s.id = n.series_id
          join dataset_series p on p.series_id = s.id
        where m.side <> 'above'
      )`
    const nodes = await sql`${graph}
      select * from (
        select 'dataset:' || d.code as id, 'dataset' as type, d.code, v.definition -> 'title' as title,
          null::integer as level, 'beneath' as side
        from datasets d join dataset_versions v on v.dataset_id = d.id and v.version = d.current_version
        where d.id in (select dataset_id from used)
        union all
        select 'series:' || code, 'series', code, title, null, 'beneath' from used
        union all
        select 'metric:' || code, 'metric', code, title, level, side from shown
      ) node order by array_position(array['dataset', 'series', 'metric'], type), level, code`.execute(tx)
    const edges = await sql`${graph}
      select * from (
        select 'dataset:' || d.code as "from", 'series:' || u.code as "to"
        from used u join datasets d on d.id = u.dataset_id
        union all
        select 'series:' || u.code, 'metric:' || m.code
        from shown m join metric_dependencies n on n.metric_id = m.id join used u on u.id = n.series_id
        where m.side <> 'above'
        union all
        select 'metric:' || b.code, 'metric:' || m.code
        from shown m join metric_dependencies n on n.metric_id = m.id join shown b on b.id = n.needs_metric_id
        where m.side <> 'above' or b.side <> 'beneath'
      ) edge order by 1, 2`.execute(tx)
    return z.object(Rows).parse({ nodes: nodes.rows, edges: edges.rows })
  })
}
