import { randomUUID } from 'node:crypto'
import { basename } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ImportAccepted } from '@aduana/contracts/jobs'
import type { Api } from '../api/api.ts'
import { uploadImport } from '../api/upload.ts'
import { ApiProblem, ConnectionError, outcomeOfError } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { Interrupted, type Io } from '../io.ts'
import { openApi } from '../session.ts'
import { createDisplay, type Display, QUIET } from '../show/display.ts'
import { uploadFacts } from '../show/progress.ts'
import { startSentence } from '../show/start.ts'
import { withPipedFile } from './piped-file.ts'
import { reportJob, waitForJob } from './wait.ts'

const DEFAULT_RETRY_SECONDS = 5
const MAX_RETRY_SECONDS = 300
// Pauses before retries after a broken connection, when it is unknown whether the file was accepted.
const BROKEN_RETRY_SECONDS = [1, 2, 4]

export interface ImportOptions {
  dataset: string
  from?: string
  to?: string
  scope?: string
  mode?: string
  force?: boolean
  dryRun?: boolean
  requireApproval?: boolean
  expectRecords?: number
  onConflict?: string
  priority?: number
  startAt?: string
  encoding?: string
  delimiter?: string
  /** Overrides the name of the file. */
  fileName?: string
  /** Number of retries when the queue is full; 0 without the option. */
  retry?: number
  wait: boolean
  json?: boolean
}

/** `aduana import`: sends a file, or standard input, and waits until it is loaded. */
export async function importCommand(io: Io, file: string, options: ImportOptions): Promise<ExitCode> {
  const api = await openApi(io)
  const display = options.json ? QUIET : createDisplay(io)
  const { id } = await (file === '-'
    ? withPipedFile(io, (path) => send(io, api, path, options, display))
    : send(io, api, file, options, display))
  if (options.startAt !== undefined && !options.json) {
    display.end()
    io.err(`${startSentence(options.startAt, new Date())}\n`)
  }
  if (options.wait) return reportJob(io, api, await waitForJob(io, api, id, display), options.json === true)
  display.end()
  io.out(
    options.json
      ? JSON.stringify({ outcome: 'accepted', exitCode: EXIT.loaded, job: { id } })
      : `accepted as job ${id}\nTo follow it: ${io.program} jobs ${id} --follow`,
  )
  return EXIT.loaded
}

/** Returns the form fields of an import. */
function formFields(options: ImportOptions): Record<string, string> {
  const {
    dataset,
    from,
    to,
    scope,
    mode,
    force,
    dryRun,
    requireApproval,
    expectRecords,
    onConflict,
    priority,
    startAt,
    encoding,
    delimiter,
  } = options
  const fields = {
    dataset,
    from,
    to,
    scope,
    mode,
    force: force ? 'true' : undefined,
    dryRun: dryRun ? 'true' : undefined,
    requireApproval: requireApproval ? 'true' : undefined,
    expectedRecords: expectRecords === undefined ? undefined : String(expectRecords),
    onConflict,
    priority: priority === undefined ? undefined : String(priority),
    startAt,
    encoding,
    delimiter,
  }
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, value]],
    ),
  )
}

/**
 * Sends the file. After a broken connection or an error of the API it is sent again a few times, always with the same key, so
 * that it is imported once. If the queue is full, it is sent again after the time that the API names, `retry` times.
 */
async function send(
  io: Io,
  api: Api,
  file: string,
  options: ImportOptions,
  display: Display,
): Promise<ImportAccepted> {
  const key = randomUUID()
  const pauses = [...BROKEN_RETRY_SECONDS]
  for (let left = options.retry ?? 0; ; ) {
    const startedAt = performance.now()
    try {
      const named = { path: file, name: options.fileName ?? basename(file) }
      return await uploadImport(api, named, formFields(options), key, (progress) =>
        display.show(uploadFacts(progress, (performance.now() - startedAt) / 1000)),
      )
    } catch (error) {
      display.end()
      if (error instanceof Interrupted) io.err('The upload was interrupted. Nothing was imported.\n')
      const pause = isBroken(error) ? pauses.shift() : undefined
      if (pause !== undefined) await waitBeforeRetry(io, error, pause)
      else if (left > 0 && outcomeOfError(error) === 'unavailable') {
        left -= 1
        await waitBeforeRetry(io, error, DEFAULT_RETRY_SECONDS)
      } else throw error
    }
  }
}

/** Returns true if it is unknown whether the request succeeded, or a retry may succeed. */
function isBroken(error: unknown): boolean {
  if (error instanceof ConnectionError) return true
  return error instanceof ApiProblem && [500, 502, 503, 504].includes(error.problem.status)
}

async function waitBeforeRetry(io: Io, error: unknown, otherwise: number): Promise<void> {
  const wanted = error instanceof ApiProblem ? error.retryAfter : undefined
  const seconds = Math.min(wanted ?? otherwise, MAX_RETRY_SECONDS)
  const what = error instanceof Error ? error.message : ''
  io.err(`${what} Retrying in ${seconds} s.\n`)
  await delay(seconds * 1000, undefined, { signal: io.signal }).catch(() => io.signal.throwIfAborted())
}
