import { Day } from '@aduana/contracts/dates'
import { JobStatus } from '@aduana/contracts/job-states'
import { RunStatus } from '@aduana/contracts/metrics/runs'
import { InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'

/** Takes the code with which the program is to end. */
export type ExitWith = (code: number) => void

/** The option of every command whose result is for programs, too. */
export const json = (): Option => new Option('--json', 'print the result as JSON')

/** A day, as an argument. @throws InvalidArgumentError */
export function day(text: string): string {
  const parsed = Day.safeParse(text)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError('It must be a day like 2025-03-01.')
}

/** The id of a job, as an argument. @throws InvalidArgumentError */
export function uuid(text: string): string {
  const parsed = z.uuid().safeParse(text)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError('It must be the id of a job, as `aduana jobs` shows it.')
}

/** A status of jobs in any case, as an argument. @throws InvalidArgumentError */
export function jobStatus(text: string): JobStatus {
  const parsed = JobStatus.safeParse(text.toUpperCase())
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError(`Allowed choices are ${JobStatus.options.join(', ')}.`)
}

/** A status of runs in any case, as an argument. @throws InvalidArgumentError */
export function runStatus(text: string): RunStatus {
  const parsed = RunStatus.safeParse(text.toUpperCase())
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError(`Allowed choices are ${RunStatus.options.join(', ')}.`)
}

/** Reads a whole number within bounds; throws InvalidArgumentError for anything else. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^-?\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}
