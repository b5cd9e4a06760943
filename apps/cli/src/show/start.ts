import { formatSeconds } from './figures.ts'

/** Returns a sentence with the start of an import: `startAt` with its offset, in UTC, and the time until then. */
export function startSentence(startAt: string, now: Date): string {
  const at = new Date(startAt)
  const seconds = (at.getTime() - now.getTime()) / 1000
  const utc = `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`
  const shown = startAt.endsWith('Z') ? utc : `${spaced(startAt)} (${utc})`
  return seconds > 0
    ? `The import starts at ${shown}, in ${formatSeconds(seconds)}.`
    : `The start time ${shown} has passed, so the import starts now.`
}

function spaced(moment: string): string {
  return moment.replace('T', ' ').replace(/(?=[+-]\d\d:\d\d$)/, ' ')
}
