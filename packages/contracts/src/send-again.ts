import type { LoadMode } from './dataset-definition.ts'

/** What to do with an import whose file was understood wrongly: true of one that is loaded, waits, or has failed, and of a dry run. */
export const TAKE_BACK = 'undo the import if it is loaded, or cancel it if it is waiting'

/** Options of the command line that are not called as their field. */
const OPTIONS: Readonly<Record<string, string>> = { expectedRecords: 'expect-records' }

/** Fields of a request, and the same as options of the command line: `to=2026-01-08 force=true (--to 2026-01-08 --force)`. */
export function asFields(fields: Readonly<Record<string, string>>): string {
  const entries = Object.entries(fields)
  const sent = entries.map(([name, value]) => `${name}=${value}`).join(' ')
  return `${sent} (${entries.map(([name, value]) => asOption(name, value)).join(' ')})`
}

function asOption(name: string, value: string): string {
  const option = OPTIONS[name] ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  return value === 'true' ? `--${option}` : `--${option} ${value}`
}

/**
 * How to send the bytes of an import again with these fields, as the end of a sentence. Once they are loaded, they are
 * refused without `force`; and what an append has added must go first, because `force` would add it twice.
 */
export function sendAgain(mode: LoadMode, fields: Readonly<Record<string, string>>): string {
  if (mode === 'append') return `${TAKE_BACK}, and send the file again with ${asFields(fields)}`
  return `send the file again with ${asFields({ ...fields, force: 'true' })}`
}
