import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { z } from 'zod'
import { type Child, spawnChild } from './child-process.ts'
import { type Deferred, deferred } from './deferred.ts'
import { EngineError } from './errors.ts'
import {
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
  type Task,
  type TaskProgress,
} from './protocol.ts'

/** Where the engine tells what happens to its child; a pino logger fits. */
export interface EngineLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface EngineOptions {
  /** Its name in the log. */
  readonly name?: string
  /** DuckDB's limit; the process takes 100 to 200 MB more. */
  readonly memoryLimitMb: number
  readonly threads: number
  /** Heap of the child's JavaScript. Default 256. */
  readonly maxOldSpaceMb?: number
  /** Most a task may spill to its folder. Default 10,240. */
  readonly maxTempMb?: number
  readonly logger?: EngineLogger
  /** Start the child with the first task, for an engine that may never be needed; at once unless said. */
  readonly onDemand?: boolean
}

export interface RunOptions {
  /** Aborting rejects the task with an `AbortError` (code `aborted`) within about a second. */
  readonly signal?: AbortSignal
  /** Called about five times a second while the task runs. */
  readonly onProgress?: (progress: TaskProgress) => void
}

export type ParseInput = Omit<z.input<typeof parseTask>, 'type'>
export type QueryInput = Omit<z.input<typeof queryTask>, 'type'>
export type RejectsInput = Omit<z.input<typeof rejectsTask>, 'type'>

/**
 * A warm child process with DuckDB and the scanner in it. Tasks run one at a time, in order of arrival. Results of
 * a task appear in its folder only when it succeeded. All methods throw `EngineError`.
 */
export interface Engine {
  /** Original → Parquet of text columns (`_rec, _line, _off, _len, …`; empty fields are NULL) and structural rejects. */
  parse(input: ParseInput, options?: RunOptions): Promise<ParseResult>
  /** SQL over the files of a folder. */
  query(input: QueryInput, options?: RunOptions): Promise<QueryResult>
  /** The complete rejects of a parsed file with their original text. */
  writeRejects(input: RejectsInput, options?: RunOptions): Promise<RejectsResult>
  /** The child's process id, for whoever watches memory. */
  pid(): number | undefined
  /** Stops the child; whatever runs or waits is rejected as aborted. */
  close(): Promise<void>
}

interface Pending {
  readonly id: number
  readonly task: Task
  readonly tempDir: string
  readonly onProgress: ((progress: TaskProgress) => void) | undefined
  readonly settle: Deferred<unknown>
  aborted: boolean
}

/** How long a child may take to stop by itself before it is killed. */
const ABORT_GRACE_MS = 500
const aborted = () => new EngineError('aborted', 'the task was aborted')

/**
 * Starts an engine and waits until it is warm, unless its child is to start on demand. Throws `engine_crashed` when the
 * child cannot start.
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
        // Warm again for the next task; but a child that never came up would fail for ever.
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
    if (message.kind === 'done') return void finish(current, () => current.settle.resolve(message.result))
    if (message.fatal) retire()
    void finish(current, () => current.settle.reject(new EngineError(message.code, message.message)))
  }

  // After a fatal error of DuckDB nothing in that process can be trusted.
  const retire = () => {
    child?.kill()
    child = closed ? null : launch()
  }

  const finish = async (pending: Pending, settle: () => void) => {
    // A killed child leaves its folder behind; a living one has removed it.
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
    // A child that cannot start tells so by its exit, which settles this task.
    const up = await child.ready.then(
      () => true,
      () => false,
    )
    if (!up) return
    if (pending.aborted) return void finish(pending, () => pending.settle.reject(aborted()))
    child?.send({ kind: 'task', id: pending.id, tempDir: pending.tempDir, limits, task: pending.task })
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

  const run = async (task: Task, { signal, onProgress }: RunOptions): Promise<unknown> => {
    if (closed) throw new EngineError('aborted', 'the engine is closed')
    if (signal?.aborted) throw aborted()
    const id = ++ids
    const tempDir = join(task.workDir, `.engine-${process.pid}-${Date.now().toString(36)}-${id}`)
    const pending: Pending = { id, task, tempDir, onProgress, settle: deferred(), aborted: false }
    const onAbort = () => abort(pending)
    signal?.addEventListener('abort', onAbort, { once: true })
    waiting.push(pending)
    const folder = basename(task.workDir)
    options.logger?.debug({ engine: options.name, type: task.type, folder }, 'engine task')
    void next()
    try {
      return await pending.settle.promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  if (options.onDemand !== true) {
    child = launch()
    await child.ready
  }
  return {
    parse: async (input, runOptions = {}) =>
      parseResult.parse(await run(parseTask.parse({ ...input, type: 'parse' }), runOptions)),
    query: async (input, runOptions = {}) =>
      queryResult.parse(await run(queryTask.parse({ ...input, type: 'query' }), runOptions)),
    writeRejects: async (input, runOptions = {}) =>
      rejectsResult.parse(await run(rejectsTask.parse({ ...input, type: 'rejects' }), runOptions)),
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
