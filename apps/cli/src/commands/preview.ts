import { readPreview } from '../api/calls.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { renderPreview } from '../show/preview.ts'

/** `aduana preview <job>`: shows what the load of a job would change. */
export async function previewCommand(io: Io, id: string, options: { json?: boolean }): Promise<ExitCode> {
  const preview = await readPreview(await openApi(io), id)
  io.out(options.json ? JSON.stringify(preview) : renderPreview(preview))
  return EXIT.loaded
}
