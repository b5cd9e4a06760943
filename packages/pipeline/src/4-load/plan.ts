import { addDays, type Day, nextDay } from '@aduana/contracts/dates'
import type { Selection } from '@aduana/datasets/target'
import type { Window } from '@aduana/jobs/windows/windows'
import type { ImportFacts, StageJob } from '../stage.ts'
import type { ValidateOutput } from '../stage-outputs.ts'

/** What a load is about to do, as far as it is known without reading the existing rows. */
export interface LoadPlan {
  windows: readonly Window[]
  validated: ValidateOutput
  /** The days of each scope whose old rows are removed; empty unless the mode is replace-window. */
  replaced: readonly ScopeDays[]
}

/**
 * Returns the windows that a load needs: the declared one; otherwise, for each replace scope, the range from the first
 * to the last accepted day; the whole dataset if it has no days.
 */
export function windowsOf(facts: ImportFacts, validated: ValidateOutput): Window[] {
  const [declaredScope = ''] = facts.scopes
  if (facts.window) return [{ scope: declaredScope, ...facts.window }]
  if (validated.days.length === 0) return [{ scope: '', from: null, to: null }]
  const scopes = [...new Set(validated.days.map(({ scope }) => scope))].sort()
  return scopes.flatMap((scope) => {
    const days = validated.days.filter((entry) => entry.scope === scope).map(({ day }) => day)
    const [from, last] = [days.sort()[0], days.at(-1)]
    return from === undefined || last === undefined ? [] : [{ scope, from, to: nextDay(last) }]
  })
}

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

/** Returns the days of each scope that a load writes to. */
export function plannedDays({ validated, replaced }: LoadPlan): ScopeDays[] {
  if (replaced.length > 0) return [...replaced]
  const scopes = [...new Set(validated.days.map(({ scope }) => scope))].sort()
  return scopes.map((scope) => ({
    scope,
    days: validated.days.filter((entry) => entry.scope === scope).map(({ day }) => day),
  }))
}

/** Returns the selections of rows that a job replaces, by scope and day, limited to its companies and warehouses. */
export function selectionsOf({ facts }: StageJob, replaced: readonly ScopeDays[]): Selection[] {
  const { definition, companies, warehouses } = facts
  return replaced
    .filter(({ days }) => days.length > 0)
    .map(({ scope, days }) => ({
      days,
      coverage: { companies, warehouses },
      ...(definition.replaceScope === undefined ? {} : { scope }),
    }))
}
