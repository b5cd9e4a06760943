import {
  type DuckDBMaterializedResult,
  DuckDBTypeId,
  type DuckDBValueConverter,
  JsonDuckDBValueConverter,
} from '@duckdb/node-api'
import type { z } from 'zod'
import { EngineError } from '../errors.ts'
import type { Json, QueryResult, queryTask, Row } from '../protocol.ts'
import { type TaskContext, withDuck } from './context.ts'
import { type Duck, openDuck } from './duck.ts'

/** Runs the statements in order in one instance, so that a temporary table of one serves the next, or its condition. */
export async function query(task: z.infer<typeof queryTask>, context: TaskContext): Promise<QueryResult> {
  const results: QueryResult = {}
  let done = 0
  const duck = await openDuck(task.workDir, context.tempDir, context.limits)
  return withDuck(duck, context, async () => {
    const timer = setInterval(() => {
      const share = Math.min(1, duck.percentage() / 100)
      const phase = task.statements[done]?.name ?? ''
      context.report({
        phase,
        bytesDone: 0,
        bytesTotal: 0,
        rows: 0,
        fraction: Math.min(1, (done + share) / task.statements.length),
      })
    }, 150)
    try {
      for (const { name, sql, params, as, onlyIf } of task.statements) {
        if (onlyIf === undefined || (await isTrue(duck, onlyIf))) {
          const result = await duck.run(sql, params)
          const rows = as === 'rows' ? await readRows(result, task.maxRows, name) : []
          results[name] = { rows, changed: result.rowsChanged }
        }
        done++
      }
    } finally {
      clearInterval(timer)
    }
    return results
  })
}

async function isTrue(duck: Duck, query: string): Promise<boolean> {
  const [row] = await (await duck.run(query)).getRows()
  return row?.[0] === true
}

async function readRows(result: DuckDBMaterializedResult, maxRows: number, name: string): Promise<Row[]> {
  const rows: Row[] = []
  for await (const chunk of result.yieldConvertedRowObjects(toJson)) {
    rows.push(...chunk)
    if (rows.length > maxRows)
      throw new EngineError('sql_error', `statement ${name} returns more than ${maxRows} rows`)
  }
  return rows
}

const DATE_TIMES = new Set([
  DuckDBTypeId.TIMESTAMP,
  DuckDBTypeId.TIMESTAMP_S,
  DuckDBTypeId.TIMESTAMP_MS,
  DuckDBTypeId.TIMESTAMP_NS,
  DuckDBTypeId.TIMESTAMP_TZ,
])

/** A DuckDB value as JSON: see `Row`. The session's time zone is UTC. */
const toJson: DuckDBValueConverter<Json> = (value, type) => {
  if (typeof value === 'bigint') return toNumber(value)
  if (value !== null && DATE_TIMES.has(type.typeId))
    return String(value).replace(' ', 'T').replace(/\+00$/, 'Z')
  return JsonDuckDBValueConverter(value, type, toJson)
}

function toNumber(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}
