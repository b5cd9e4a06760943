import { readFileSync } from 'node:fs'
import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import { EXPRESSION_PROBLEMS, EXPRESSION_TYPES } from '@aduana/contracts/metrics/expression'
import { dkt } from '@aduana/datasets/shipped/dkt'
import { orders } from '@aduana/datasets/shipped/orders'
import { production } from '@aduana/datasets/shipped/production'
import { parseDefinition, validateExpression } from '@aduana/metric-compute/expressions/validate'
import { expressionsIn } from '@aduana/metric-compute/expressions/walk'
import type { SeriesPlace } from '@aduana/metric-compute/series-place'
import { describe, expect, test } from 'vitest'
import { SHIPPED_SERIES } from './series.ts'

const GUIDE = readFileSync(new URL('../../../../docs/guides/metrics.md', import.meta.url), 'utf8')

const DEFINITIONS = [production, orders, dkt]

const series = new Map<string, SeriesPlace>(
  SHIPPED_SERIES.flatMap(({ code, dataset, column }) =>
    DEFINITIONS.filter((definition) => definition.code === dataset).map(
      (definition) => [code, { code, datasetId: dataset, definition, column }] as const,
    ),
  ),
)

/** The examples of each `### \`type\`` of the guide. */
const examples = GUIDE.split(/^### `/m)
  .slice(1)
  .flatMap((section) => {
    const type = section.slice(0, section.indexOf('`'))
    return [...section.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => ({ type, text }))
  })

function titled(code: string, expression: unknown) {
  return { code, title: { en: code, es: code }, expression }
}

describe('the guide', () => {
  test('has an example of every type of expression', () => {
    expect(new Set(examples.map(({ type }) => type))).toEqual(new Set(EXPRESSION_TYPES))
  })

  test.each(examples)('shows a `$type` that is valid: $text', ({ type, text }) => {
    const parsed = parseDefinition(titled('example', JSON.parse(text)))
    if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems))
    expect(parsed.definition.expression.type).toBe(type)
    const needed = expressionsIn(parsed.definition.expression).flatMap(({ node }) =>
      node.type === 'metric' ? [node.metric] : [],
    )
    const aggregate = { type: 'aggregate', op: 'count', series: 'orders.rows' }
    const metrics = new Map(needed.map((code) => [code, MetricDefinition.parse(titled(code, aggregate))]))
    const problems = validateExpression(parsed.definition, { series, metrics })
    expect(problems.filter(({ code }) => type !== 'constant' || code !== 'no_input')).toEqual([])
  })

  test('names every code of a problem', () => {
    const refused = GUIDE.slice(GUIDE.indexOf('### What is refused'))
    for (const code of EXPRESSION_PROBLEMS) expect(refused).toContain(`\`${code}\``)
  })
})
