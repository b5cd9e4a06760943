import { type DayRange, NearDay } from '@aduana/contracts/dates'
import { ProblemError } from '@aduana/contracts/problems'

/** Refuse an event of days that no data can be of. @throws ProblemError `bad_request` */
export function refuseFarDays({ days }: { days: readonly DayRange[] }): void {
  const far = days.find(({ from, to }) => ![from, to].every((day) => NearDay.safeParse(day).success))
  if (far)
    throw new ProblemError(
      'bad_request',
      `The days ${far.from} to ${far.to} are not between 1900 and 2199.`,
      { errors: [{ field: 'days', message: 'must be from 1900 to 2199' }] },
    )
}
