import { addDays, type Day } from '@aduana/contracts/dates'
import type { MetricDefinition } from '@aduana/contracts/metrics/definition'
import type { Expression, OnZero, RowCondition } from '@aduana/contracts/metrics/expression'

// Evaluates expressions as the guide defines them, day by day and cell by cell, in integers of 10^-16.

/** A row by series code: texts, numbers as decimal text, booleans, timestamps as ISO text; null is empty. */
export interface OracleRow {
  id: number
  day: Day
  company: string
  warehouse: string
  values: Record<string, string | number | boolean | null>
}

/** The data that the oracle computes from. */
export interface OracleData {
  /** Rows by dataset, the part of a series code before the dot. */
  rows: Record<string, OracleRow[]>
  definitions: ReadonlyMap<string, MetricDefinition>
}

const SCALE = 10n ** 16n
type Value = bigint | undefined
interface Cell {
  company: string | null
  warehouse: string | null
}

/** A decimal text in units of 10^-16. */
export function scaled(text: string): bigint {
  const [whole = '0', fraction = ''] = text.replace('-', '').split('.')
  const units = BigInt(whole) * SCALE + BigInt(fraction.padEnd(16, '0'))
  return text.startsWith('-') ? -units : units
}

function divided(dividend: bigint, divisor: bigint): bigint {
  const [a, b] = [dividend < 0n ? -dividend : dividend, divisor < 0n ? -divisor : divisor]
  const rounded = (2n * a + b) / (2n * b)
  return dividend < 0n !== divisor < 0n ? -rounded : rounded
}

/** Returns all stored values of the metrics, as `metric|day|company|warehouse` with the value in units of 10^-16. */
export function oracleValues(data: OracleData, from: Day, to: Day): Map<string, bigint> {
  const oracle = openOracle(data)
  const kept = new Map<string, bigint>()
  for (const [code, { grain, expression }] of data.definitions)
    for (const cell of oracle.cells(grain))
      for (let day = from; day < to; day = addDays(day, 1)) {
        const value = oracle.support(expression, day, cell, [])
          ? oracle.value(expression, day, cell, [])
          : undefined
        if (value !== undefined) kept.set(`${code}|${day}|${cell.company}|${cell.warehouse}`, value)
      }
  return kept
}

function openOracle({ rows, definitions }: OracleData) {
  const known = new Map<Expression, Map<string, Value>>()
  const all = Object.values(rows).flat()

  function cells(grain: MetricDefinition['grain']): Cell[] {
    if (grain === 'total') return [{ company: null, warehouse: null }]
    const texts = new Set(
      all.map((row) =>
        JSON.stringify({ company: row.company, warehouse: grain === 'company' ? null : row.warehouse }),
      ),
    )
    return [...texts].map((text): Cell => JSON.parse(text))
  }

  function rowsAt(series: string, day: Day, cell: Cell): OracleRow[] {
    return (rows[series.split('.')[0] ?? ''] ?? []).filter(
      (row) =>
        row.day === day &&
        (cell.company === null || cell.company === row.company) &&
        (cell.warehouse === null || cell.warehouse === row.warehouse),
    )
  }

  function value(node: Expression, day: Day, cell: Cell, filters: readonly RowCondition[]): Value {
    const ofNode = known.get(node) ?? new Map<string, Value>()
    known.set(node, ofNode)
    const key = `${day} ${cell.company} ${cell.warehouse} ${filters.length === 0 ? '' : JSON.stringify(filters)}`
    if (!ofNode.has(key)) ofNode.set(key, fresh(node, day, cell, filters))
    return ofNode.get(key)
  }

  function fresh(node: Expression, day: Day, cell: Cell, filters: readonly RowCondition[]): Value {
    const at = (child: Expression, when = day) => value(child, when, cell, filters)
    switch (node.type) {
      case 'aggregate':
        return aggregate(node, rowsAt(node.series, day, cell), filters)
      case 'metric': {
        const other = definitions.get(node.metric)
        if (!other) throw new Error(`no metric ${node.metric}`)
        return support(other.expression, day, cell, []) ? value(other.expression, day, cell, []) : undefined
      }
      case 'constant':
        return scaled(String(node.value))
      case 'arithmetic': {
        const parts = node.of.map((child) => at(child))
        if (parts.some((part) => part === undefined)) return undefined
        const numbers = parts.map((part) => part ?? 0n)
        const [head = 0n, ...rest] = numbers
        if (node.op === 'add') return rest.reduce((sum, part) => sum + part, head)
        if (node.op === 'subtract') return rest.reduce((sum, part) => sum - part, head)
        return divided(
          rest.reduce((product, part) => product * part, head),
          SCALE ** BigInt(rest.length),
        )
      }
      case 'ratio': {
        const [of, by] = [at(node.of), at(node.by)]
        return of === undefined || by === undefined
          ? undefined
          : quotient(scaled(String(node.times)) * of, by * SCALE, node.onZero)
      }
      case 'growth': {
        const [now, before] = [at(node.of), at(node.of, addDays(day, -node.days))]
        if (now === undefined || before === undefined) return undefined
        if (node.as === 'difference') return now - before
        return quotient(node.as === 'ratio' ? now : 100n * (now - before), before, node.onZero)
      }
      case 'rolling':
      case 'cumulative': {
        const values = windowOf(node, day).flatMap((when) => at(node.of, when) ?? [])
        const least = node.type === 'rolling' ? node.minDays : 1
        return values.length < least ? undefined : combined(node.op, values)
      }
      case 'conditional': {
        const [left, right] = [at(node.when.left), at(node.when.right)]
        if (left === undefined || right === undefined) return undefined
        if (compared(left < right ? -1 : left > right ? 1 : 0, node.when.op)) return at(node.value)
        return node.otherwise ? at(node.otherwise) : undefined
      }
      case 'filter':
        return value(node.of, day, cell, [...filters, node.where])
      case 'fallback':
        return at(node.of) ?? at(node.otherwise)
    }
  }

  /** Whether the value is kept: an input has a row. */
  function support(node: Expression, day: Day, cell: Cell, filters: readonly RowCondition[]): boolean {
    switch (node.type) {
      case 'aggregate':
        return rowsAt(node.series, day, cell).length > 0
      case 'metric':
        return value(node, day, cell, filters) !== undefined
      case 'constant':
        return false
      case 'arithmetic':
        return node.of.some((child) => support(child, day, cell, filters))
      case 'ratio':
        return [node.of, node.by].some((child) => support(child, day, cell, filters))
      case 'fallback':
        return [node.of, node.otherwise].some((child) => support(child, day, cell, filters))
      case 'conditional':
        return [
          node.when.left,
          node.when.right,
          node.value,
          ...(node.otherwise ? [node.otherwise] : []),
        ].some((child) => support(child, day, cell, filters))
      case 'growth':
      case 'filter':
        return support(node.of, day, cell, filters)
      case 'rolling':
      case 'cumulative': {
        const grain = cell.company === null ? 'total' : cell.warehouse === null ? 'company' : 'warehouse'
        const works = cells(grain).some((any) => anyLeaf(node.of, day, any, filters))
        return works && windowOf(node, day).some((when) => support(node.of, when, cell, filters))
      }
    }
  }

  function anyLeaf(node: Expression, day: Day, cell: Cell, filters: readonly RowCondition[]): boolean {
    if (node.type === 'aggregate' || node.type === 'metric') return support(node, day, cell, filters)
    if (node.type === 'constant') return false
    const children: Expression[] = Object.values(node).flatMap((part) =>
      Array.isArray(part)
        ? part
        : typeof part === 'object' && part !== null
          ? 'type' in part
            ? [part]
            : 'left' in part
              ? [part.left, part.right]
              : []
          : [],
    )
    return children.some((child) => anyLeaf(child, day, cell, filters))
  }

  return { cells, value, support }
}

function quotient(dividend: bigint, divisor: bigint, onZero: OnZero): Value {
  if (divisor !== 0n) return divided(dividend * SCALE, divisor)
  if (onZero === 'missing') return undefined
  return onZero === 'zero' ? 0n : scaled(String(onZero.value))
}

function combined(op: string, values: readonly bigint[]): bigint {
  const sum = values.reduce((total, value) => total + value, 0n)
  if (op === 'sum') return sum
  if (op === 'avg') return divided(sum, BigInt(values.length))
  if (op === 'count') return BigInt(values.length) * SCALE
  return values.reduce((best, value) => ((op === 'min') === value < best ? value : best))
}

function windowOf(node: Extract<Expression, { type: 'rolling' | 'cumulative' }>, day: Day): Day[] {
  if (node.type === 'rolling') return Array.from({ length: node.days }, (_, back) => addDays(day, -back))
  const days = [day]
  for (let at = day; !starts(at, node.reset); ) {
    at = addDays(at, -1)
    days.push(at)
  }
  return days
}

function starts(day: Day, period: string): boolean {
  if (period === 'week') return new Date(`${day}T00:00:00Z`).getUTCDay() === 1
  if (period === 'month') return day.endsWith('-01')
  return period === 'year' ? day.endsWith('-01-01') : /-(01|04|07|10)-01$/.test(day)
}

function compared(order: number, op: string): boolean {
  if (op === '=') return order === 0
  if (op === '!=') return order !== 0
  if (op === '<') return order < 0
  if (op === '<=') return order <= 0
  return op === '>' ? order > 0 : order >= 0
}

function aggregate(
  node: Extract<Expression, { type: 'aggregate' }>,
  cellRows: readonly OracleRow[],
  filters: readonly RowCondition[],
): Value {
  if (cellRows.length === 0) return undefined
  const wheres = [...filters, ...(node.where ? [node.where] : [])]
  const rows = cellRows.filter((row) => wheres.every((where) => holds(where, row)))
  const cellsOf = (series: string) => rows.map((row) => row.values[series] ?? null)
  if (node.op === 'count')
    return (
      SCALE *
      BigInt(
        node.series.endsWith('.rows') ? rows.length : cellsOf(node.series).filter((v) => v !== null).length,
      )
    )
  const texts = cellsOf(node.series).flatMap((cell) => (cell === null ? [] : [String(cell)]))
  if (node.op === 'distinct') return SCALE * BigInt(new Set(texts).size)
  const numbers = texts.map(scaled)
  if (numbers.length === 0) return undefined
  if (node.op === 'percentile') return percentile(numbers, node.percentile ?? 0)
  if (node.op !== 'first' && node.op !== 'last') return combined(node.op, numbers)
  const order = (row: OracleRow): bigint | undefined => {
    const by = node.by === undefined ? (row.values.at ?? row.day) : row.values[node.by]
    if (by === null || by === undefined) return undefined
    return typeof by === 'string' && /^\d{4}-/.test(by) ? BigInt(Date.parse(by)) : scaled(String(by))
  }
  const ordered = rows
    .flatMap((row) => {
      const [cell, by] = [row.values[node.series], order(row)]
      return cell === null || cell === undefined || by === undefined
        ? []
        : [{ value: scaled(String(cell)), by, id: row.id }]
    })
    .sort((a, b) => (a.by < b.by ? -1 : a.by > b.by ? 1 : a.id - b.id))
  return ordered.at(node.op === 'first' ? 0 : -1)?.value
}

function percentile(numbers: readonly bigint[], share: number): bigint {
  const sorted = numbers.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const position = scaled(String(share)) * BigInt(sorted.length - 1)
  const low = sorted[Number(position / SCALE)] ?? 0n
  const high = sorted[Number((position + SCALE - 1n) / SCALE)] ?? 0n
  return low + divided((position % SCALE) * (high - low), SCALE)
}

function holds(where: RowCondition, row: OracleRow): boolean {
  if (where.op === 'all' && 'of' in where) return where.of.every((inner) => holds(inner, row))
  if (where.op === 'any' && 'of' in where) return where.of.some((inner) => holds(inner, row))
  if (where.op === 'not') return !holds(where.of, row)
  if (!('series' in where)) return false
  const cell = row.values[where.series] ?? null
  if (cell === null) return false
  if (where.op === 'present') return true
  if (where.op === 'in') return where.values.some((value) => order(cell, value) === 0)
  return compared(order(cell, where.value), where.op)
}

function order(cell: string | number | boolean, value: string | number | boolean): number {
  if (typeof value === 'number') {
    const [a, b] = [scaled(String(cell)), scaled(String(value))]
    return a < b ? -1 : a > b ? 1 : 0
  }
  if (typeof value === 'boolean') return cell === value ? 0 : 1
  if (/^\d{4}-.*T/.test(value)) return Math.sign(Date.parse(String(cell)) - Date.parse(`${value}-05:00`))
  return Buffer.compare(Buffer.from(String(cell)), Buffer.from(value))
}
