import { Day, Moment } from '@aduana/contracts/dates'
import { JobStatus } from '@aduana/contracts/job-states'
import { ImportForm } from '@aduana/contracts/jobs'
import { RunStatus } from '@aduana/contracts/metrics/runs'
import { InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'

/** Takes the code with which the program is to end. */
export type ExitWith = (code: number) => void

/** The option of every command whose result is for programs, too. */
export const json = (): Option => new Option('--json', 'print the result as JSON')

/** The option of every command that saves a definition. */
export const ifVersion = (): Option =>
  new Option('--if-version <n>', 'only if that is still its present version').argParser(
    wholeNumber(1, 999_999_999),
  )

/** A day, as an argument. @throws InvalidArgumentError */
export function day(text: string): string {
  const parsed = Day.safeParse(text)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError('It must be a day like 2025-03-01.')
}

const TIME = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?$/

/**
 * A moment, as an argument: with its zone, or a time of this machine. Returns it with its offset, as
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
  'It must be a time with its zone, such as 2026-12-01T05:00:00Z, or without one: then it is a time of this machine.'

/** The offset of a local time on this machine, as `+01:00`. @throws InvalidArgumentError when there is no such time */
function offsetHere(local: string): string {
  const there = new Date(local)
  if (Number.isNaN(there.getTime())) throw new InvalidArgumentError(MOMENT_FORM)
  const minutes = -there.getTimezoneOffset()
  const shown = new Date(there.getTime() + minutes * 60_000).toISOString().slice(0, 19)
  if (shown !== local) throw new InvalidArgumentError('The clocks of this machine skip that time.')
  const size = Math.abs(minutes)
  const two = (number: number) => String(number).padStart(2, '0')
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
}

/** One character between the cells of a file, as an argument; `tab` stands for a tab. @throws InvalidArgumentError */
export function delimiter(text: string): string {
  const parsed = ImportForm.shape.delimiter.unwrap().safeParse(/^(tab|\\t)$/i.test(text) ? '\t' : text)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError(
    'It must be "tab", or one character that is not a letter, a digit or a quote.',
  )
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
