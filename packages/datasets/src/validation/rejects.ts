import { lit } from '../literals.ts'
import type { Check } from '../rules/checks.ts'
import { END_IS_EXCLUSIVE } from '../rules/record.ts'
import type { NamedStatement } from '../statement.ts'
import { copyTo } from './parquet.ts'

/** Above this number, reasons are computed in several passes, because each takes memory for every record. */
const MAX_CHECKS = 600

/**
 * Returns statements that write the failed records with all their reasons. A failed record without a reason means that the
 * two forms of a rule disagree; the statement then fails.
 */
export function rejectsStatements(
  values: string,
  checks: readonly Check[],
  output: string,
  clashes: string | undefined,
): NamedStatement[] {
  const passes = Array.from({ length: Math.max(1, Math.ceil(checks.length / MAX_CHECKS)) }, (_, pass) =>
    checks.slice(pass * MAX_CHECKS, (pass + 1) * MAX_CHECKS),
  )
  const places = '_rec, _line, _off, _len'
  const first = `select ${places}, ${reasonsOf(passes[0] ?? [])} as reasons from ${values}`
  const all = (from: string) =>
    clashes === undefined
      ? from
      : `select ${places}, list_concat(f.reasons, x.reasons) as reasons from (${from}) f left join (${clashes}) x using (_rec)`
  const bad = (from: string) =>
    `select ${places}, case when len(reasons) = 0 then error('record ' || _rec || ' failed without a reason') else to_json(reasons)::varchar end as reasons from (${all(from)}) order by _rec`
  const run = (name: string, sql: string): NamedStatement => ({ name, sql, as: 'none' })
  if (passes.length === 1) return [run('bad', copyTo(output, bad(first)))]
  const more = passes.slice(1).map((its, index) => ({ its, name: `reasons_${index + 1}` }))
  const joined = `select ${places}, list_concat(f.reasons${more.map(({ name }) => `, ${name}.reasons`).join('')}) as reasons from reasons_0 f${more.map(({ name }) => ` join ${name} using (_rec)`).join('')}`
  return [
    run('reasons-0', `create temp table reasons_0 as ${first}`),
    ...more.map(({ its, name }) =>
      run(name, `create temp table ${name} as select _rec, ${reasonsOf(its)} as reasons from ${values}`),
    ),
    run('bad', copyTo(output, bad(joined))),
  ]
}

function reasonsOf(checks: readonly Check[]): string {
  const reasons = checks.map(
    ({ column, code, broken, message, value }) =>
      `case when ${broken} then struct_pack("column" := ${column === null ? 'NULL::VARCHAR' : lit(column)}, code := ${lit(code)}, message := ${message}, value := ${value}) end`,
  )
  return `list_filter([${reasons.join(', ')}], lambda reason: reason is not null)`
}

/** Returns a query for the number of reported records outside of the declared window, and of those on its `to` day. */
export function outsideWindow(bad: string): NamedStatement {
  const reasons = `select unnest(from_json(reasons, '["json"]')) as reason from read_parquet(${lit(bad)})`
  const onEnd = `starts_with(reason ->> 'message', ${lit(END_IS_EXCLUSIVE)})`
  return {
    name: 'outside-window',
    sql: `select count(*) as "rows", count(*) filter (where ${onEnd}) as "onEnd" from (${reasons}) where reason ->> 'code' = 'outside_window'`,
    as: 'rows',
  }
}
