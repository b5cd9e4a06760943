import type { LoadMode } from '@aduana/contracts/dataset-definition'
import { type DayRange, nextDay } from '@aduana/contracts/dates'
import { counted } from '@aduana/contracts/figures'
import { asFields, sendAgain } from '@aduana/contracts/send-again'

/**
 * Tells that records of the day that was declared as `to` are not part of the window, and how to send the file with it.
 * `failed`: nothing of the file is loaded, so it can be sent as it is.
 */
export function windowEndHint(
  { from, to }: DayRange,
  records: number,
  { mode, failed }: { mode: LoadMode; failed: boolean },
): string {
  const fields = { from, to: nextDay(to) }
  const again = failed ? `send the file again with ${asFields(fields)}` : sendAgain(mode, fields)
  return `to is exclusive, so ${counted(records, 'record')} of ${to} did not belong to the window. If ${to} belongs to it too, ${again}.`
}
