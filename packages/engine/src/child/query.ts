import {
  type DuckDBMaterializedResult,
  DuckDBTypeId,
  type DuckDBValueConverter,
  JsonDuckDBValueConverter,
} from '@duckdb/node-api'
import type { z } from 'zod'
import { EngineError } from '../errors.ts'
import type { Batch, Json, QueryResult, queryTask, Row } from '../protocol.ts'
import { type TaskContext, withDuck } from './context.ts'
import { type Duck, openDuck } from './duck.ts'

/** The batches of a query task, in order of arrival; `null` after the last. */
export interface Batches {
  next(): Promise<Batch | null>
  answer(result: QueryResult): void
}

/** Runs all batches in one instance, so that later ones can use temporary tables of earlier ones. */
export async function query(
  task: z.infer<typeof queryTask>,
  context: TaskContext,
  batches: Batches,
): Promise<void> {
  const duck = await openDuck(task.workDir, context.tempDir, context.limits)
  return withDuck(duck, context, async () => {
    let from = 0
    for (let batch = await batches.next(); batch !== null; batch = await batches.next()) {
      batches.answer(await runBatch(duck, context, batch, from))
      from = batch.until
    }
  })
}

async function runBatch(duck: Duck, context: TaskContext, batch: Batch, from: number): Promise<QueryResult> {
  const { statements, maxRows, until } = batch
  const results: QueryResult = {}
  let done = 0
  const timer = setInterval(() => {
    const share = (done + Math.min(1, duck.percentage() / 100)) / statements.length
    const phase = statements[done]?.name ?? ''
    const fraction = Math.min(until, from + (until - from) * share)
    context.report({ phase, bytesDone: 0, bytesTotal: 0, rows: 0, fraction })
  }, 150)
  try {
    for (const { name, sql, params, as } of statements) {
      const result = await duck.run(sql, params)
      const rows = as === 'rows' ? await readRows(result, maxRows, name) : []
      results[name] = { rows, changed: result.rowsChanged }
      done++
    }
  } finally {
    clearInterval(timer)
  }
  return results
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

/** Converts a DuckDB value to JSON, see `Row`. The session's time zone is UTC. */
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
