import { type DayRange, nextDay } from '@aduana/contracts/dates'

/** Tells that records of the day that was declared as `to` are not part of the window. */
export function windowEndHint({ to }: DayRange, records: number): string {
  return `to is exclusive, so ${records} ${records === 1 ? 'record' : 'records'} of ${to} did not belong to the window. If the day is meant to be replaced too, send the file again with to=${nextDay(to)}.`
}
