import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { RejectReason } from '@aduana/contracts/rejects'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { z } from 'zod'
import { evidenceStatements, readDecisions } from '../decisions/column-decisions.ts'
import type { Decided } from '../decisions/decided.ts'
import { fileColumns } from '../header.ts'
import { lit, quoteIdentifier } from '../literals.ts'
import type { NamedStatement } from '../statement.ts'
import type { ValidationInput } from '../validation/plan.ts'
import type { DayCount, ValidationResult } from '../validation/results.ts'
import { surveyFile } from '../validation/survey.ts'
import { type RejectLimit, validateRecords } from '../validation/validate-records.ts'
import { testZones } from './zones.ts'

export type Answer = { rows: Record<string, unknown>[] }

/** A DuckDB instance with a folder of its own, configured as the engine configures it. */
export interface TestDuck {
  folder: string
  /** Runs statements one by one, each prepared separately, and returns the rows of those that have any. */
  run(statements: readonly NamedStatement[]): Promise<Record<string, Answer>>
  rows(sql: string): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

/** Opens a DuckDB in a new temporary folder. */
export async function openTestDuck(): Promise<TestDuck> {
  const folder = await mkdtemp(join(tmpdir(), 'datasets-'))
  const instance = await DuckDBInstance.create(':memory:', { threads: '2', memory_limit: '512MB' })
  const connection = await instance.connect()
  await connection.run("SET TimeZone='UTC'")
  await connection.run(`SET allowed_directories=[${lit(folder)}]`)
  await connection.run('SET enable_external_access=false')
  return {
    folder,
    async run(statements) {
      const answers: Record<string, Answer> = {}
      for (const { name, sql, as } of statements) {
        const rows = await queryRows(connection, sql)
        if (as === 'rows') answers[name] = { rows }
      }
      return answers
    },
    rows: (sql) => queryRows(connection, sql),
    async close() {
      connection.closeSync()
      instance.closeSync()
      await rm(folder, { recursive: true })
    },
  }
}

async function queryRows(connection: DuckDBConnection, sql: string): Promise<Record<string, unknown>[]> {
  const statement = await connection.prepare(sql)
  try {
    const rows = await (await statement.run()).getRowObjects()
    return rows.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value]),
      ),
    )
  } finally {
    statement.destroySync()
  }
}

/** A record of a file: column name → text. An absent name is an empty cell. */
export type TextRecord = Record<string, string>

export interface Validated
  extends Omit<ValidationResult, 'clean' | 'files' | 'days' | 'outsideWindow' | 'onWindowEnd'> {
  days: Omit<DayCount, 'line'>[]
  cleanFile: string
  /** The decisions about columns. If they contradict each other an import fails, but this harness continues. */
  decisions: Decided[]
  /** Clean rows with all values as text. */
  clean: Record<string, unknown>[]
  bad: { record: number; reasons: RejectReason[] }[]
  duplicates: { record: number; winner: number }[]
  /** Conflicting records, and the records that were kept in their place. */
  conflicts: { record: number; reasons: RejectReason[] }[]
}

/** Writes records as the parser would and validates them. `_rec` counts from 1. */
export async function validate(
  definition: DatasetDefinition,
  records: readonly TextRecord[],
  more: Partial<ValidationInput> = {},
  limit?: RejectLimit,
): Promise<Validated> {
  const duck = await openTestDuck()
  try {
    return await validateIn(duck, definition, records, more, limit)
  } finally {
    await duck.close()
  }
}

/** As `validate`, in a given DuckDB, whose folder then holds the files. */
export async function validateIn(
  duck: TestDuck,
  definition: DatasetDefinition,
  records: readonly TextRecord[],
  more: Partial<ValidationInput> = {},
  limit?: RejectLimit,
): Promise<Validated> {
  const columns = more.columns ?? fileColumns(definition).map(({ name }) => name)
  const parsed = join(duck.folder, 'parsed.parquet')
  await writeParsed(duck, parsed, columns, records)
  const file = { parsed, columns }
  const survey = more.survey ?? (await surveyFile(duck.run, definition, file))
  const decisions = readDecisions(definition, await duck.run(evidenceStatements(definition, file, survey)))
  const zones = await testZones(definition)
  const input = { ...file, folder: duck.folder, survey, decisions, zones, ...more }
  const result = await validateRecords(duck.run, definition, input, limit)
  const clean = await duck.rows(
    `select columns(name -> name <> '_notes')::varchar from read_parquet(${lit(result.clean)}) order by _rec::bigint`,
  )
  const rowsOf = (count: number, columns: string, file: string) =>
    count === 0 ? [] : duck.rows(`select ${columns} from read_parquet(${lit(file)})`)
  const bad = await rowsOf(result.totals.rejected, '_rec, reasons', result.files.bad)
  const duplicates = await rowsOf(result.totals.duplicates, '_rec, winner', result.files.duplicates)
  const conflicts = await rowsOf(result.totals.conflicts, '_rec, reasons', result.files.conflicts)
  const withReasons = (rows: unknown) =>
    z
      .array(z.object({ _rec: z.int(), reasons: z.string() }))
      .parse(rows)
      .map(({ _rec, reasons }) => ({
        record: _rec,
        reasons: z.array(RejectReason).parse(JSON.parse(reasons)),
      }))
  return {
    decisions,
    totals: result.totals,
    days: result.days.map(({ scope, day, rows }) => ({ scope, day, rows })),
    scopes: result.scopes,
    repeated: result.repeated,
    notes: result.notes,
    conflicting: result.conflicting,
    digest: result.digest,
    cleanFile: result.clean,
    clean,
    bad: withReasons(bad),
    conflicts: withReasons(conflicts),
    duplicates: z
      .array(z.object({ _rec: z.int(), winner: z.int() }))
      .parse(duplicates)
      .map(({ _rec, winner }) => ({ record: _rec, winner })),
  }
}

async function writeParsed(
  duck: TestDuck,
  path: string,
  columns: readonly string[],
  records: readonly TextRecord[],
): Promise<void> {
  const lines = records.map((record, index) =>
    JSON.stringify({ _rec: index + 1, cells: columns.map((name) => record[name] ?? '') }),
  )
  const source = join(duck.folder, 'parsed.ndjson')
  await writeFile(source, `${lines.join('\n')}\n`)
  const cells = columns.map((name, index) => `cells[${index + 1}] as ${quoteIdentifier(name)}`)
  await duck.rows(
    `copy (select _rec, _rec + 1 as _line, _rec * 100 as _off, 99::bigint as _len, ${cells.join(', ')} from read_json(${lit(source)}, format = 'newline_delimited', columns = {_rec: 'BIGINT', cells: 'VARCHAR[]'})) to ${lit(path)} (format parquet)`,
  )
}
