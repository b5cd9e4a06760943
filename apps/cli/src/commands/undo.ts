import { undoImport } from '../api/calls.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { createDisplay, QUIET } from '../show/display.ts'
import { reportJob, waitForJob } from './wait.ts'

export interface UndoOptions {
  unwind?: boolean
  wait: boolean
  json?: boolean
}

/** `aduana undo <job>`: undoes an import and waits until its rows are deleted. */
export async function undoCommand(io: Io, importId: string, options: UndoOptions): Promise<ExitCode> {
  const api = await openApi(io)
  const { id } = await undoImport(api, importId, { unwind: options.unwind === true })
  const json = options.json === true
  if (options.wait)
    return reportJob(io, api, await waitForJob(io, api, id, json ? QUIET : createDisplay(io)), json)
  io.out(
    json
      ? JSON.stringify({ outcome: 'accepted', exitCode: EXIT.loaded, job: { id } })
      : `accepted as job ${id}\nTo follow it: ${io.program} jobs ${id} --follow`,
  )
  return EXIT.loaded
}
