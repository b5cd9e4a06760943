import { approveJob, readPreview } from '../api/calls.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { renderPreview } from '../show/preview.ts'

export interface ApproveOptions {
  basis?: string
  json?: boolean
}

/** `aduana approve <job>`: approves exactly the preview that it shows, or the one that `--basis` names. */
export async function approveCommand(io: Io, id: string, options: ApproveOptions): Promise<ExitCode> {
  const api = await openApi(io)
  const shown = options.basis === undefined ? await readPreview(api, id) : undefined
  if (shown && !options.json) io.out(`${renderPreview(shown)}\n`)
  const job = await approveJob(api, id, options.basis ?? shown?.basis)
  io.out(
    options.json
      ? JSON.stringify(job)
      : `job ${id}: approved; its rows are being loaded\nTo follow it: ${io.program} jobs ${id} --follow`,
  )
  return EXIT.loaded
}
