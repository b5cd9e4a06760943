import { rmSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { DuckDBInstance } from '@duckdb/node-api'
import { deferred } from '../deferred.ts'
import { EngineError, toEngineError } from '../errors.ts'
import { type Batch, type FromChild, type Task, type TaskProgress, toChild } from '../protocol.ts'
import type { TaskContext } from './context.ts'
import { parse } from './parse.ts'
import { query } from './query.ts'
import { writeRejects } from './rejects.ts'

/* The engine's child process. It executes one task at a time, received over IPC from its parent, `engine.ts`. */

const PROGRESS_MS = 200
let running: { id: number; tempDir: string; abort: AbortController; inbox: Inbox } | null = null

/** Batches that have arrived, and the waiting receiver of the next. */
interface Inbox {
  put(batch: Batch | null): void
  next(): Promise<Batch | null>
}

function openInbox(signal: AbortSignal): Inbox {
  const arrived: (Batch | null)[] = []
  let wake = () => {}
  signal.addEventListener('abort', () => wake())
  return {
    put(batch) {
      arrived.push(batch)
      wake()
    },
    async next() {
      while (arrived.length === 0 && !signal.aborted) {
        const { promise, resolve } = deferred<void>()
        wake = resolve
        await promise
      }
      if (signal.aborted) throw new EngineError('aborted', 'the task was aborted')
      return arrived.shift() ?? null
    },
  }
}

function send(message: FromChild): void {
  // 'disconnect' reports that the parent has ended.
  if (process.connected) process.send?.(message)
}

async function perform(id: number, task: Task, context: TaskContext, inbox: Inbox): Promise<unknown> {
  if (task.type === 'parse') return parse(task, context)
  if (task.type === 'query')
    return query(task, context, {
      next: inbox.next,
      answer: (result) => send({ kind: 'answer', id, result }),
    })
  return writeRejects(task, context)
}

async function runTask(
  id: number,
  tempDir: string,
  limits: TaskContext['limits'],
  task: Task,
): Promise<void> {
  const abort = new AbortController()
  const inbox = openInbox(abort.signal)
  running = { id, tempDir, abort, inbox }
  let latest: TaskProgress | null = null
  const timer = setInterval(() => {
    if (latest) send({ kind: 'progress', id, progress: latest })
  }, PROGRESS_MS)
  const report = (progress: TaskProgress) => {
    const turned = latest !== null && latest.phase !== progress.phase
    latest = { ...progress, fraction: Math.max(progress.fraction, latest?.fraction ?? 0) }
    if (turned) send({ kind: 'progress', id, progress: latest })
  }
  try {
    await mkdir(tempDir, { recursive: true })
    const result = await perform(id, task, { tempDir, limits, signal: abort.signal, report }, inbox)
    await rm(tempDir, { recursive: true, force: true })
    send({ kind: 'done', id, result })
  } catch (error) {
    const { code, message } = abort.signal.aborted
      ? new EngineError('aborted', 'the task was aborted')
      : toEngineError(error)
    await rm(tempDir, { recursive: true, force: true })
    send({ kind: 'failed', id, code, message, fatal: /^(FATAL|INTERNAL) Error/i.test(message) })
  } finally {
    clearInterval(timer)
    running = null
  }
}

process.on('message', (raw) => {
  const message = toChild.parse(raw)
  if (message.kind === 'task') void runTask(message.id, message.tempDir, message.limits, message.task)
  else if (running?.id !== message.id) return
  else if (message.kind === 'batch') running.inbox.put(message.batch)
  else if (message.kind === 'end') running.inbox.put(null)
  else running.abort.abort()
})

process.on('disconnect', () => {
  if (running) rmSync(running.tempDir, { recursive: true, force: true })
  // No exit(): native threads may still be running, and there is no parent left to report to.
  process.kill(process.pid, 'SIGKILL')
})

// Load the native library now instead of with the first task.
const warm = await DuckDBInstance.create(':memory:')
const connection = await warm.connect()
await connection.run('SELECT 1')
connection.closeSync()
warm.closeSync()
send({ kind: 'ready' })
