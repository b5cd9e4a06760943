import { Day, Moment } from '@aduana/contracts/dates'
import { JobStatus } from '@aduana/contracts/job-states'
import { ImportForm } from '@aduana/contracts/jobs'
import { RunStatus } from '@aduana/contracts/metrics/runs'
import { InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'

/** Sets the exit code of the program. */
export type ExitWith = (code: number) => void

/** The option of every command whose result programs may read. */
export const json = (): Option => new Option('--json', 'print the result as JSON')

/** The option of every command that saves a definition. */
export const ifVersion = (): Option =>
  new Option('--if-version <n>', 'save only if this is still the current version').argParser(
    wholeNumber(1, 999_999_999),
  )

/** Parses a day argument. @throws InvalidArgumentError */
export function day(text: string): string {
  const parsed = Day.safeParse(text)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError('It must be a day, such as 2025-03-01.')
}

const TIME = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?$/

/**
 * Parses a time argument, with a zone or in the zone of this machine. Returns it with its offset, such as
 * `2026-12-01T05:00:00+01:00`.
 * @throws InvalidArgumentError also for a local time that the clocks skip
 */
export function moment(text: string): string {
  const found = TIME.exec(text)
  if (!found) throw new InvalidArgumentError(MOMENT_FORM)
  const [, year, month, date, hour, minute, second = '00', zone] = found
  const local = `${year}-${month}-${date}T${hour}:${minute}:${second}`
  const parsed = Moment.safeParse(`${local}${zone ?? offsetHere(local)}`)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError(`${MOMENT_FORM} ${parsed.error.issues[0]?.message ?? ''}`.trim())
}

const MOMENT_FORM =
  'It must be a time with a zone, such as 2026-12-01T05:00:00Z, or without one in the zone of this machine.'

/** Returns the offset of a local time on this machine, such as `+01:00`. @throws InvalidArgumentError when the time does not exist */
function offsetHere(local: string): string {
  const there = new Date(local)
  if (Number.isNaN(there.getTime())) throw new InvalidArgumentError(MOMENT_FORM)
  const minutes = -there.getTimezoneOffset()
  const shown = new Date(there.getTime() + minutes * 60_000).toISOString().slice(0, 19)
  if (shown !== local) throw new InvalidArgumentError('This time does not exist in the zone of this machine.')
  const size = Math.abs(minutes)
  const two = (number: number) => String(number).padStart(2, '0')
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
}

/** Parses a delimiter argument: one character, or `tab`. @throws InvalidArgumentError */
export function delimiter(text: string): string {
  const parsed = ImportForm.shape.delimiter.unwrap().safeParse(/^(tab|\\t)$/i.test(text) ? '\t' : text)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError(
    'It must be "tab", or one character that is not a letter, a digit or a quote.',
  )
}

/** Parses a job id argument. @throws InvalidArgumentError */
export function uuid(text: string): string {
  const parsed = z.uuid().safeParse(text)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError('It must be the id of a job, as `aduana jobs` shows it.')
}

/** Parses a job status argument in any case. @throws InvalidArgumentError */
export function jobStatus(text: string): JobStatus {
  const parsed = JobStatus.safeParse(text.toUpperCase())
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError(`Allowed choices are ${JobStatus.options.join(', ')}.`)
}

/** Parses a run status argument in any case. @throws InvalidArgumentError */
export function runStatus(text: string): RunStatus {
  const parsed = RunStatus.safeParse(text.toUpperCase())
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError(`Allowed choices are ${RunStatus.options.join(', ')}.`)
}

/** Returns a parser of whole numbers within bounds, which throws InvalidArgumentError for anything else. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^-?\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}
