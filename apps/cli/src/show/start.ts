import { formatSeconds } from './figures.ts'

/** When an import will start: `startAt` with its offset, the same in UTC, and how long until then. */
export function startSentence(startAt: string, now: Date): string {
  const at = new Date(startAt)
  const seconds = (at.getTime() - now.getTime()) / 1000
  const utc = `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`
  const shown = startAt.endsWith('Z') ? utc : `${spaced(startAt)} (${utc})`
  return seconds > 0
    ? `It starts at ${shown}, in ${formatSeconds(seconds)}.`
    : `It was to start at ${shown}, which is over: it starts now.`
}

function spaced(moment: string): string {
  return moment.replace('T', ' ').replace(/(?=[+-]\d\d:\d\d$)/, ' ')
}
