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
import { reportJob, waitForJob } from './wait.ts'

const DEFAULT_RETRY_SECONDS = 5
const MOST_RETRY_SECONDS = 300

export interface ImportOptions {
  dataset: string
  from?: string
  to?: string
  scope?: string
  mode?: string
  force?: boolean
  onConflict?: string
  priority?: number
  /** How often to ask again when the queue is full; 0 without the option. */
  retry?: number
  wait: boolean
  json?: boolean
}

/** `aduana import`: send a file, and wait until it has been loaded. */
export async function importCommand(io: Io, file: string, options: ImportOptions): Promise<ExitCode> {
  const api = await openApi(io)
  const display = options.json ? QUIET : createDisplay(io)
  const { id } = await send(io, api, file, options, display)
  if (options.wait) return reportJob(io, api, await waitForJob(io, api, id, display), options.json === true)
  display.end()
  io.out(
    options.json
      ? JSON.stringify({ outcome: 'accepted', exitCode: EXIT.loaded, job: { id } })
      : `accepted as job ${id}\nTo follow it: ${io.program} jobs ${id} --follow`,
  )
  return EXIT.loaded
}

/** The form fields that an import was asked for with. */
export function formFields(options: ImportOptions): Record<string, string> {
  const { dataset, from, to, scope, mode, force, onConflict, priority } = options
  const fields = {
    dataset,
    from,
    to,
    scope,
    mode,
    force: force ? 'true' : undefined,
    onConflict,
    priority: priority === undefined ? undefined : String(priority),
  }
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, value]],
    ),
  )
}

/** Send the file; when there is no room for it, ask again after the time that the API names, so often as was asked. */
async function send(
  io: Io,
  api: Api,
  file: string,
  options: ImportOptions,
  display: Display,
): Promise<ImportAccepted> {
  for (let left = options.retry ?? 0; ; left--) {
    const startedAt = performance.now()
    try {
      return await uploadImport(api, file, formFields(options), (progress) =>
        display.show(uploadFacts(progress, (performance.now() - startedAt) / 1000)),
      )
    } catch (error) {
      display.end()
      if (error instanceof Interrupted) io.err('The upload was broken off; nothing was imported.\n')
      if (left <= 0 || outcomeOfError(error) !== 'unavailable') throw error
      await holdOff(io, error)
    }
  }
}

async function holdOff(io: Io, error: unknown): Promise<void> {
  const wanted = error instanceof ApiProblem ? error.retryAfter : undefined
  const seconds = Math.min(wanted ?? DEFAULT_RETRY_SECONDS, MOST_RETRY_SECONDS)
  const what = error instanceof ConnectionError ? error.message : error instanceof Error ? error.message : ''
  io.err(`${what} Trying again in ${seconds} s.\n`)
  await delay(seconds * 1000, undefined, { signal: io.signal }).catch(() => io.signal.throwIfAborted())
}
