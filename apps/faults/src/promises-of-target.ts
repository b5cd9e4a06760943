import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { quoteIdentifier } from '@aduana/datasets/literals'
import { targetColumns, targetTable } from '@aduana/datasets/target'
import { LOADS, type PromiseCheck } from './promises.ts'

/** Returns what must hold for the target of a dataset. `$1` of each query is the dataset's id. */
export function promisesOfTarget(definition: DatasetDefinition): PromiseCheck[] {
  const day = dayOf(definition)
  return [
    ...(definition.loadMode === 'upsert' ? upserted(definition) : []),
    ...(definition.loadMode !== 'upsert' && day ? [rowsOfLoads(definition, day)] : []),
    ...(day ? ledger(definition, day) : []),
    ...members(definition),
  ]
}

function dayOf({ columns, windowColumn }: DatasetDefinition): string | undefined {
  const column = columns.find(({ name }) => name === windowColumn)
  if (column?.type === 'timestamp')
    return `(${quoteIdentifier(column.name)} at time zone '${column.timeZone}')::date`
  return column === undefined ? undefined : quoteIdentifier(column.name)
}

/**
 * Each accepted row is in the table once, until a later load replaces its day: rows of killed, repeated or frozen stage
 * attempts are neither missing nor duplicated. The id of a row contains the number of its import.
 */
function rowsOfLoads(definition: DatasetDefinition, day: string): PromiseCheck {
  const sameScope = definition.replaceScope === undefined ? '' : ' and later.scopes && l.scopes'
  return {
    promise: 'G2 and G6',
    broken: `rows of ${definition.code} other than those that were accepted and not replaced since`,
    sql: `with loads as (${LOADS} and j.dataset_id = $1),
      expected as (
        select l.import_no, d.day, sum(d.rows)::bigint as rows
        from loads l join stage_results s on s.job_id = l.job_id and s.stage = 'validate' and s.state = 'done',
          jsonb_to_recordset(s.output->'days') as d(day date, rows bigint)
        where not exists (select from loads later where later.mode = 'replace-window'
          and later.loaded_at > l.loaded_at and later.days @> d.day${sameScope})
        group by 1, 2),
      found as (
        select (id >> 32)::int as import_no, ${day} as day, count(distinct id) as rows, count(*) as with_duplicates
        from ${targetTable(definition)} group by 1, 2)
      select 'import ' || import_no || ' on ' || day || ': ' || coalesce(f.with_duplicates, 0) || ' instead of ' || coalesce(e.rows, 0) as what
      from expected e full join found f using (import_no, day)
      where coalesce(e.rows, 0) <> coalesce(f.rows, 0) or f.rows <> f.with_duplicates`,
  }
}

function upserted(definition: DatasetDefinition): PromiseCheck[] {
  const table = targetTable(definition)
  return [
    {
      promise: 'G2',
      broken: `rows of ${definition.code} that no load has inserted`,
      sql: `with loads as (${LOADS} and j.dataset_id = $1)
        select found.rows || ' instead of ' || expected.rows as what
        from (select count(*) as rows from ${table}) found, (select coalesce(sum(inserted), 0) as rows from loads) expected
        where found.rows <> expected.rows`,
    },
    {
      promise: 'G2',
      broken: `rows of ${definition.code} written by an import that did not load`,
      sql: `with loads as (${LOADS} and j.dataset_id = $1)
        select 'import ' || import_no || ': ' || count(*) as what from ${table}
        where import_no not in (select import_no from loads) group by import_no`,
    },
    ...scoped(definition),
  ]
}

function scoped(definition: DatasetDefinition): PromiseCheck[] {
  if (!definition.scope) return []
  const { company, warehouse } = definition.scope
  const outside = (column: string, list: string) =>
    `(j.${list} is not null and not t.${quoteIdentifier(column)} = any (j.${list}))`
  const conditions = [outside(company, 'companies')]
  if (warehouse !== undefined) conditions.push(outside(warehouse, 'warehouses'))
  return [
    {
      promise: 'G8',
      broken: `rows of ${definition.code} outside the scope of the user who sent them`,
      sql: `select 'import ' || t.import_no || ' record ' || t.record as what from ${targetTable(definition)} t
        join imports i on i.import_no = t.import_no join jobs j on j.id = i.job_id
        where i.dataset_id = $1 and (${conditions.join(' or ')})`,
    },
  ]
}

function ledger(definition: DatasetDefinition, day: string): PromiseCheck[] {
  return [
    {
      promise: 'G3',
      broken: `days of ${definition.code} with another number of rows than in the ledger`,
      sql: `with found as (select ${day} as day, count(*) as rows from ${targetTable(definition)} group by 1),
        recorded as (select day, sum(rows)::bigint as rows from window_ledger where dataset_id = $1 group by day)
        select day || ': ' || coalesce(f.rows, 0) || ' rows, ' || coalesce(t.rows, 0) || ' in the ledger' as what
        from found f full join recorded t using (day) where coalesce(f.rows, 0) <> coalesce(t.rows, 0)`,
    },
    {
      promise: 'G3',
      broken: `days of ${definition.code} that do not belong to the last load`,
      sql: `with loads as (${LOADS} and j.dataset_id = $1)
        select l.day || ' belongs to ' || l.job_id as what from window_ledger l
        where l.dataset_id = $1 and l.rows > 0 and l.job_id is distinct from
          (select job_id from loads join window_ledger_before b using (job_id)
            where b.dataset_id = l.dataset_id and b.scope = l.scope and b.day = l.day order by loaded_at desc limit 1)`,
    },
  ]
}

function members(definition: DatasetDefinition): PromiseCheck[] {
  return targetColumns(definition).flatMap(({ role, name, source }) => {
    if (role !== 'dimension' || source.type !== 'text' || !source.dimension) return []
    return [
      {
        promise: 'G1',
        broken: `rows of ${definition.code} that reference a missing member by ${name}`,
        sql: `select 'row ' || t.id as what from ${targetTable(definition)} t
          left join ${quoteIdentifier(source.dimension.table)} d on d.id = t.${quoteIdentifier(name)}
          where d.id is null and t.${quoteIdentifier(name)} is not null and $1::uuid is not null`,
      },
    ]
  })
}
