import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { z } from 'zod'
import { type Child, spawnChild } from './child-process.ts'
import { type Deferred, deferred } from './deferred.ts'
import { EngineError } from './errors.ts'
import {
  type Batch,
  batch,
  type FromChild,
  type Limits,
  type ParseResult,
  parseResult,
  parseTask,
  type QueryResult,
  queryResult,
  queryTask,
  type RejectsResult,
  rejectsResult,
  rejectsTask,
  type Statement,
  type Task,
  type TaskProgress,
} from './protocol.ts'

/** Receives log messages about the engine's child; a pino logger fits. */
export interface EngineLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface EngineOptions {
  /** Name of the engine in the log. */
  readonly name?: string
  /** Memory limit of DuckDB; the process takes 100 to 200 MB more. */
  readonly memoryLimitMb: number
  readonly threads: number
  /** Heap of the child's JavaScript. Default 256. */
  readonly maxOldSpaceMb?: number
  /** Maximum size that a task may spill to its folder. Default 10,240. */
  readonly maxTempMb?: number
  readonly logger?: EngineLogger
  /** Starts the child with the first task, for an engine that may never be needed. Default: starts it at once. */
  readonly onDemand?: boolean
}

export interface RunOptions {
  /** Aborting rejects the task with an `AbortError` (code `aborted`) within about a second. */
  readonly signal?: AbortSignal
  /** Called about five times a second while the task runs. */
  readonly onProgress?: (progress: TaskProgress) => void
}

export type ParseInput = Omit<z.input<typeof parseTask>, 'type'>
export type QueryInput = Omit<z.input<typeof queryTask>, 'type'> & Omit<z.input<typeof batch>, 'until'>
export type SessionInput = Omit<z.input<typeof queryTask>, 'type'>

/**
 * Runs statements in order in the database of a session. `until` is the share of the whole session that is done after
 * them, for its progress; default 1.
 */
export type RunStatements = (
  statements: readonly Statement[],
  options?: Omit<z.input<typeof batch>, 'statements'>,
) => Promise<QueryResult>
export type RejectsInput = Omit<z.input<typeof rejectsTask>, 'type'>

/**
 * A warm child process with DuckDB and the scanner. Executes one task at a time, in order of arrival. The results of a
 * task appear in its folder only if it succeeds. All methods throw `EngineError`.
 */
export interface Engine {
  /**
   * Converts an original to Parquet with text columns (`_rec, _line, _off, _len, …`; empty fields are NULL) and
   * structural rejects.
   */
  parse(input: ParseInput, options?: RunOptions): Promise<ParseResult>
  /** Runs SQL over the files of a folder. */
  query(input: QueryInput, options?: RunOptions): Promise<QueryResult>
  /**
   * Runs several queries in one database, for cases in which a result decides the next query. Returns the result of
   * `work`. No other task runs meanwhile, so `work` must wait only for the engine. Temporary tables last as long as the
   * session.
   */
  session<T>(input: SessionInput, work: (run: RunStatements) => Promise<T>, options?: RunOptions): Promise<T>
  /** Writes the complete rejects of a parsed file with their original text. */
  writeRejects(input: RejectsInput, options?: RunOptions): Promise<RejectsResult>
  /** Returns the child's process id, for memory monitoring. */
  pid(): number | undefined
  /** Stops the child. Running and waiting tasks are rejected as aborted. */
  close(): Promise<void>
}

interface Pending {
  readonly id: number
  readonly task: Task
  readonly tempDir: string
  readonly onProgress: ((progress: TaskProgress) => void) | undefined
  /** Resolves when the task has been sent to the child. */
  readonly begun: Deferred<void>
  readonly settle: Deferred<unknown>
  /** The batch that the child is executing. */
  answer: Deferred<unknown> | null
  aborted: boolean
}

/** Time for a child to stop by itself before it is killed. */
const ABORT_GRACE_MS = 500
const aborted = () => new EngineError('aborted', 'the task was aborted')

function toItsEnd({ settle }: Pending): Promise<unknown> {
  return settle.promise
}

/** Waits for a promise, but no longer than the task lasts. */
function orEnd<T>({ settle }: Pending, promise: Promise<T>): Promise<T> {
  const ended = settle.promise.then(() => {
    throw new Error('the session has ended')
  })
  return Promise.race([promise, ended])
}

/**
 * Starts an engine and waits until it is warm, unless its child starts on demand. Throws `engine_crashed` if the child
 * cannot start.
 */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const limits: Limits = {
    memoryLimitMb: options.memoryLimitMb,
    threads: options.threads,
    maxTempMb: options.maxTempMb ?? 10_240,
  }
  const waiting: Pending[] = []
  let running: Pending | null = null
  let child: Child | null = null
  let closed = false
  let ids = 0

  const launch = (): Child => {
    let wasReady = false
    const mine = spawnChild(options.maxOldSpaceMb ?? 256, {
      message(message) {
        if (message.kind === 'ready') wasReady = true
        if (mine === child) onMessage(message)
      },
      exit(error) {
        if (mine !== child) return
        child = null
        if (running) void finish(running, () => running?.settle.reject(running.aborted ? aborted() : error))
        if (closed) return
        options.logger?.warn({ code: error.code, enginePid: mine.pid }, error.message)
        // Warm again for the next task. A child that never started is not replaced, as it would fail indefinitely.
        if (wasReady) child = launch()
      },
    })
    options.logger?.info({ enginePid: mine.pid }, 'engine started')
    return mine
  }

  const onMessage = (message: FromChild) => {
    const current = running
    if (message.kind === 'ready' || !current || message.id !== current.id) return
    if (message.kind === 'progress') return current.onProgress?.(message.progress)
    if (message.kind === 'answer') return current.answer?.resolve(message.result)
    if (message.kind === 'done') return void finish(current, () => current.settle.resolve(message.result))
    if (message.fatal) retire()
    void finish(current, () => current.settle.reject(new EngineError(message.code, message.message)))
  }

  // After a fatal error of DuckDB, that process cannot be trusted.
  const retire = () => {
    child?.kill()
    child = closed ? null : launch()
  }

  const finish = async (pending: Pending, settle: () => void) => {
    // A killed child leaves its folder behind; a running one has removed it.
    await rm(pending.tempDir, { recursive: true, force: true })
    if (running !== pending) return
    settle()
    running = null
    void next()
  }

  const next = async () => {
    if (running || closed) return
    const pending = waiting.shift()
    if (!pending) return
    running = pending
    child ??= launch()
    // A child that cannot start reports it by its exit, which settles this task.
    const up = await child.ready.then(
      () => true,
      () => false,
    )
    if (!up) return
    if (pending.aborted) return void finish(pending, () => pending.settle.reject(aborted()))
    child?.send({ kind: 'task', id: pending.id, tempDir: pending.tempDir, limits, task: pending.task })
    pending.begun.resolve()
  }

  const abort = (pending: Pending) => {
    if (pending.aborted) return
    pending.aborted = true
    const at = waiting.indexOf(pending)
    if (at >= 0) {
      waiting.splice(at, 1)
      pending.settle.reject(aborted())
      return
    }
    const victim = child
    victim?.send({ kind: 'abort', id: pending.id })
    const timer = setTimeout(() => running === pending && victim?.kill(), ABORT_GRACE_MS)
    void pending.settle.promise.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    )
  }

  const run = async <T>(
    task: Task,
    { signal, onProgress }: RunOptions,
    follow: (pending: Pending) => Promise<T>,
  ): Promise<T> => {
    if (closed) throw new EngineError('aborted', 'the engine is closed')
    if (signal?.aborted) throw aborted()
    const id = ++ids
    const tempDir = join(task.workDir, `.engine-${process.pid}-${Date.now().toString(36)}-${id}`)
    const pending: Pending = {
      ...{ id, task, tempDir, onProgress },
      ...{ begun: deferred(), settle: deferred(), answer: null, aborted: false },
    }
    const onAbort = () => abort(pending)
    signal?.addEventListener('abort', onAbort, { once: true })
    waiting.push(pending)
    const folder = basename(task.workDir)
    options.logger?.debug({ engine: options.name, type: task.type, folder }, 'engine task')
    void next()
    try {
      return await follow(pending)
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  const ask = async (pending: Pending, its: Batch): Promise<QueryResult> => {
    const answer = deferred<unknown>()
    pending.answer = answer
    child?.send({ kind: 'batch', id: pending.id, batch: its })
    return queryResult.parse(await orEnd(pending, answer.promise))
  }

  const session: Engine['session'] = (input, work, runOptions = {}) =>
    run(queryTask.parse({ ...input, type: 'query' }), runOptions, async (pending) => {
      await orEnd(pending, pending.begun.promise)
      const finish = () => {
        child?.send({ kind: 'end', id: pending.id })
        return pending.settle.promise
      }
      try {
        const result = await work((statements, more) => ask(pending, batch.parse({ statements, ...more })))
        await finish()
        return result
      } catch (error) {
        // The caller gets the folder back only after the child has left it, whatever the outcome of the task.
        await finish().catch(() => undefined)
        throw error
      }
    })

  if (options.onDemand !== true) {
    child = launch()
    await child.ready
  }
  return {
    parse: async (input, runOptions = {}) =>
      parseResult.parse(await run(parseTask.parse({ ...input, type: 'parse' }), runOptions, toItsEnd)),
    query: ({ workDir, ...its }, runOptions) =>
      session({ workDir }, (runStatements) => runStatements(its.statements, its), runOptions),
    session,
    writeRejects: async (input, runOptions = {}) =>
      rejectsResult.parse(await run(rejectsTask.parse({ ...input, type: 'rejects' }), runOptions, toItsEnd)),
    pid: () => child?.pid,
    async close() {
      closed = true
      const last = child
      for (const pending of [...waiting, ...(running ? [running] : [])]) abort(pending)
      last?.kill()
      await last?.gone
    },
  }
}
