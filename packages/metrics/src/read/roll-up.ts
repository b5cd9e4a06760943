import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import type { Expression } from '@aduana/contracts/metrics/expression'
import type { Aggregate } from '@aduana/contracts/metrics/http'
import type { ReadTx } from '@aduana/db/database'
import { sql } from 'kysely'

type DefinitionOf = (code: string) => Pick<MetricDefinition, 'expression'> | undefined

/**
 * Returns how daily values of an expression combine into the value of a longer period: sums are added, extremes are
 * compared, and of `rolling` and `cumulative` the last value counts. Null where the daily values do not determine it:
 * the mean of a week is not the mean of daily means, and its distinct customers are not a sum.
 */
export function rollUpOf(expression: Expression, definitionOf: DefinitionOf): Aggregate | null {
  const of = (inner: Expression) => rollUpOf(inner, definitionOf)
  switch (expression.type) {
    case 'aggregate':
      return rollUpOfAggregate(expression.op)
    case 'metric': {
      const definition = definitionOf(expression.metric)
      return definition ? of(definition.expression) : null
    }
    case 'arithmetic':
      return isAdditive(expression, of) ? 'sum' : null
    case 'ratio':
      return expression.by.type === 'constant' && of(expression.of) === 'sum' ? 'sum' : null
    case 'filter':
      return of(expression.of)
    case 'fallback': {
      const [value, otherwise] = [of(expression.of), expression.otherwise]
      const zero = otherwise.type === 'constant' && otherwise.value === 0
      return value === of(otherwise) || (value === 'sum' && zero) ? value : null
    }
    case 'rolling':
    case 'cumulative':
      return 'last'
    case 'growth':
    case 'conditional':
    case 'constant':
      return null
  }
}

function rollUpOfAggregate(op: Extract<Expression, { type: 'aggregate' }>['op']): Aggregate | null {
  if (op === 'sum' || op === 'count') return 'sum'
  return op === 'avg' || op === 'distinct' || op === 'percentile' ? null : op
}

function isAdditive(
  { op, of: parts }: Extract<Expression, { type: 'arithmetic' }>,
  rollUp: (inner: Expression) => Aggregate | null,
): boolean {
  const sums = parts.filter((part) => rollUp(part) === 'sum')
  if (op !== 'multiply') return sums.length === parts.length
  return sums.length === 1 && parts.every((part) => part.type === 'constant' || part === sums[0])
}

/** Returns the roll-up of a metric by the current definitions of it and its input metrics. */
export async function readRollUp(
  tx: ReadTx,
  metricId: string,
  { expression }: MetricDefinition,
): Promise<Aggregate | null> {
  const rows = await sql<{ code: string; definition: unknown }>`
    with recursive inputs as (
      select ${metricId}::uuid as id
      union
      select d.needs_metric_id from inputs b join metric_dependencies d on d.metric_id = b.id
      where d.needs_metric_id is not null
    )
    select m.code, v.definition from inputs b join metrics m on m.id = b.id
      join metric_versions v on v.metric_id = m.id and v.version = m.current_version`.execute(tx)
  const definitions = new Map(
    rows.rows.map(({ code, definition }) => [code, MetricDefinition.parse(definition)]),
  )
  return rollUpOf(expression, (code) => definitions.get(code))
}
