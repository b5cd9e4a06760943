import { addDays, type Day } from '@aduana/contracts/dates'
import type { Window } from '@aduana/jobs/windows/windows'
import type { StageJob } from '../stage.ts'
import type { ValidateOutput } from '../stage-outputs.ts'

/** Days of a replace scope. */
export interface ScopeDays {
  scope: string
  days: readonly Day[]
}

/** Returns the days whose old rows are removed: a declared window as a whole, otherwise only the days of accepted rows. */
export function replacedDays(
  job: StageJob,
  windows: readonly Window[],
  validated: ValidateOutput,
): ScopeDays[] {
  const { window, mode } = job.facts
  if (mode !== 'replace-window') return []
  return windows.map(({ scope }) => ({
    scope,
    days: window
      ? daysOf(window.from, window.to)
      : validated.days.filter((entry) => entry.scope === scope).map(({ day }) => day),
  }))
}

function daysOf(from: Day, to: Day): Day[] {
  const days: Day[] = []
  for (let day = from; day < to; day = addDays(day, 1)) days.push(day)
  return days
}
