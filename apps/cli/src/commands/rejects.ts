import { listRejects } from '../api/calls.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { renderTable, shortened } from '../show/table.ts'

const RAW_LENGTH = 60

/**
 * `aduana rejects <job>`: the rejects of a job, one line for each reason; as JSON one reject a line, after a line with the
 * header, delimiter and encoding of their file.
 */
export async function rejectsCommand(
  io: Io,
  jobId: string,
  options: { limit: number; json?: boolean },
): Promise<ExitCode> {
  const { rejects, file } = await listRejects(await openApi(io), jobId, options.limit)
  if (options.json) {
    const lines = file ? [file, ...rejects] : rejects
    if (rejects.length > 0) io.out(lines.map((line) => JSON.stringify(line)).join('\n'))
    return EXIT.loaded
  }
  const rows = rejects.flatMap(({ record, line, reasons, raw, state }) =>
    reasons.map(({ column, code, message }, index) => [
      ...(index === 0
        ? [String(record), String(line), state ?? 'not stored', shortened(raw, RAW_LENGTH)]
        : ['', '', '', '']),
      column ?? '(record)',
      code,
      message,
    ]),
  )
  // The reason is the last column and is not truncated: the advice is at its end.
  const table = renderTable(
    [
      { title: 'record', right: true },
      { title: 'line', right: true },
      { title: 'state' },
      { title: 'text' },
      { title: 'column' },
      { title: 'code' },
      { title: 'reason' },
    ],
    rows,
  )
  io.out(rejects.length === 0 ? 'This job has no rejects.' : table)
  if (rejects.length === options.limit) io.err(`The first ${options.limit} are shown; --limit shows more.\n`)
  return EXIT.loaded
}
