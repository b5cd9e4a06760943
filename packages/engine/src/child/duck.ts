import { mkdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type DuckDBConnection,
  DuckDBInstance,
  DuckDBListType,
  type DuckDBMaterializedResult,
  type DuckDBPreparedStatement,
  listValue,
  VARCHAR,
} from '@duckdb/node-api'
import { EngineError, toEngineError } from '../errors.ts'
import type { SqlParameter } from '../protocol.ts'

/** A DuckDB instance for one task. It can read and write only the task's folder. */
export interface Duck {
  /** Runs one statement. Throws an `EngineError`; `aborted` if `interrupt` was called. */
  run(sql: string, params?: readonly SqlParameter[]): Promise<DuckDBMaterializedResult>
  /** Stops the running statement and rejects all later ones. */
  interrupt(): void
  /** Progress of the running statement in percent, 0..100. */
  percentage(): number
  close(): void
}

/** Limits of one task. */
export interface DuckLimits {
  readonly memoryLimitMb: number
  readonly threads: number
  /** Maximum size of spilled data in the folder. */
  readonly maxTempMb: number
}

/** Returns a string as an SQL literal. Throws for NUL, which DuckDB strings cannot contain. */
export function literal(text: string): string {
  if (text.includes('\0')) throw new EngineError('sql_error', 'SQL cannot contain a NUL character')
  return `'${text.replaceAll("'", "''")}'`
}

/** Returns a name as a quoted SQL identifier. */
export function identifier(name: string): string {
  if (name === '' || name.includes('\0')) throw new EngineError('sql_error', 'a column needs a name')
  return `"${name.replaceAll('"', '""')}"`
}

/** Opens a locked-down in-memory instance that accesses only files in `workDir` and spills to `tempDir` inside it. */
export async function openDuck(workDir: string, tempDir: string, limits: DuckLimits): Promise<Duck> {
  const spill = join(tempDir, 'spill')
  await mkdir(spill, { recursive: true })
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(limits.threads),
    memory_limit: `${limits.memoryLimitMb}MB`,
  })
  const connection = await instance.connect()
  // DuckDB compares resolved paths. The order matters: the last two settings lock the configuration.
  const settings = [
    `temp_directory=${literal(spill)}`,
    `max_temp_directory_size='${limits.maxTempMb}MB'`,
    "TimeZone='UTC'",
    'autoinstall_known_extensions=false',
    'autoload_known_extensions=false',
    'enable_progress_bar=true',
    'enable_progress_bar_print=false',
    'preserve_insertion_order=true',
    `allowed_directories=[${literal(await realpath(workDir))}, ${literal(workDir)}]`,
    'enable_external_access=false',
    'lock_configuration=true',
  ]
  await connection.run(settings.map((setting) => `SET ${setting};`).join(' '))
  return overConnection(instance, connection)
}

function overConnection(instance: DuckDBInstance, connection: DuckDBConnection): Duck {
  let interrupted = false
  return {
    async run(sql, params = []) {
      if (interrupted) throw new EngineError('aborted', 'the task was aborted')
      // An interrupt that arrives between two steps of DuckDB is lost, so it is repeated until the statement ends.
      const again = setInterval(() => interrupted && connection.interrupt(), 20)
      try {
        const statement = await connection.prepare(sql)
        try {
          for (const [i, value] of params.entries()) bind(statement, i + 1, value)
          return await statement.run()
        } finally {
          statement.destroySync()
        }
      } catch (error) {
        throw interrupted
          ? new EngineError('aborted', 'the task was aborted', { cause: error })
          : toEngineError(error)
      } finally {
        clearInterval(again)
      }
    },
    interrupt() {
      interrupted = true
      connection.interrupt()
    },
    percentage: () => Math.max(0, connection.progress.percentage),
    close() {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

function bind(statement: DuckDBPreparedStatement, index: number, value: SqlParameter): void {
  if (value === null) statement.bindNull(index)
  else if (typeof value === 'string') statement.bindVarchar(index, value)
  else if (typeof value === 'boolean') statement.bindBoolean(index, value)
  else if (typeof value !== 'number')
    statement.bindList(index, listValue([...value]), new DuckDBListType(VARCHAR))
  else if (Number.isSafeInteger(value)) statement.bindBigInt(index, BigInt(value))
  else statement.bindDouble(index, value)
}
