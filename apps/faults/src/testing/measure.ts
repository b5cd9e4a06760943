import { appendFile } from 'node:fs/promises'

/** True in the long tests, whose faults last longer. */
export const LONG = process.env.ADUANA_FAULTS_LONG === '1'

/**
 * Appends how long something took to the file that ADUANA_FAULTS_FIGURES names, one JSON document per line; without it
 * does nothing. Tests assert facts, never durations.
 */
export async function noteSeconds(what: string, since: number): Promise<void> {
  const path = process.env.ADUANA_FAULTS_FIGURES
  if (path === undefined || path === '') return
  const seconds = Math.round((performance.now() - since) / 100) / 10
  await appendFile(path, `${JSON.stringify({ what, seconds })}\n`)
}
