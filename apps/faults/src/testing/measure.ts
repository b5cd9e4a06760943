import { appendFile } from 'node:fs/promises'

/** Longer faults are tried when the tests are asked for them. */
export const LONG = process.env.ADUANA_FAULTS_LONG === '1'

/**
 * Note how long something took, in the file that ADUANA_FAULTS_FIGURES names, one JSON document a line; nothing without
 * it. Tests assert facts, never durations.
 */
export async function noteSeconds(what: string, since: number): Promise<void> {
  const path = process.env.ADUANA_FAULTS_FIGURES
  if (path === undefined || path === '') return
  const seconds = Math.round((performance.now() - since) / 100) / 10
  await appendFile(path, `${JSON.stringify({ what, seconds })}\n`)
}
