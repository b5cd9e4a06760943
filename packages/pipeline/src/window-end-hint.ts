import type { LoadMode } from '@aduana/contracts/dataset-definition'
import { type DayRange, nextDay } from '@aduana/contracts/dates'
import { counted } from '@aduana/contracts/figures'
import { asFields, sendAgain } from '@aduana/contracts/send-again'

/**
 * Returns a hint that records of the day declared as `to` are outside the window, and how to send the file with that
 * day included. `failed`: nothing of the file was loaded, so it can be sent again directly.
 */
export function windowEndHint(
  { from, to }: DayRange,
  records: number,
  { mode, failed }: { mode: LoadMode; failed: boolean },
): string {
  const fields = { from, to: nextDay(to) }
  const again = failed ? `send the file again with ${asFields(fields)}` : sendAgain(mode, fields)
  return `The end of the window (to) is exclusive, so ${counted(records, 'record')} of ${to} ${records === 1 ? 'is' : 'are'} outside the window. If the window includes ${to}, ${again}.`
}
