import { PROBLEMS, type ProblemCode } from '@aduana/contracts/problems'
import { describe, expect, test } from 'vitest'
import { ApiProblem, ConnectionError, outcomeOfError, UsageError } from './errors.ts'
import { EXIT, exitCodeHelp, outcomeOfJob, outcomeOfProblem } from './exit-codes.ts'
import { job } from './testing/jobs.ts'

describe('exit codes', () => {
  test('are the numbers that scripts rely on', () => {
    expect(EXIT).toEqual({
      loaded: 0,
      error: 1,
      quarantined: 2,
      failed: 3,
      locked: 4,
      alreadyImported: 5,
      unavailable: 6,
      waitingForApproval: 7,
      interrupted: 130,
    })
  })

  test.each([
    ['loaded', { status: 'COMPLETED', quarantined: 0 }],
    ['quarantined', { status: 'COMPLETED', quarantined: 3 }],
    ['failed', { status: 'FAILED', quarantined: 3 }],
    ['failed', { status: 'CANCELLED', quarantined: null }],
    [null, { status: 'PROCESSING', quarantined: 3 }],
    [null, { status: 'QUEUED', quarantined: null }],
  ] as const)('are %s for %o', (outcome, { status, quarantined }) => {
    expect(outcomeOfJob(job({ status, counts: { quarantined } }))).toBe(outcome)
  })

  test('distinguish known rows from other failures', () => {
    const failed = (code: string) => outcomeOfJob(job({ status: 'FAILED', error: { code, detail: '' } }))
    expect(failed('already_imported')).toBe('alreadyImported')
    expect(failed('constraint_violated')).toBe('failed')
  })

  test('distinguish a job that waits for a user from one that continues by itself', () => {
    const waiting = { status: 'PROCESSING', waitingFor: 'approval' } as const
    expect(outcomeOfJob(job(waiting))).toBe('waitingForApproval')
    expect(outcomeOfJob(job({ ...waiting, waitingFor: 'window' }))).toBeNull()
  })

  test('distinguish a held window, known bytes, an invalid file, and a full queue from other refusals', () => {
    const special: Partial<Record<ProblemCode, string>> = {
      window_locked: 'locked',
      already_imported: 'alreadyImported',
      empty_file: 'failed',
      unsupported_type: 'failed',
      file_too_large: 'failed',
      queue_full: 'unavailable',
      unavailable: 'unavailable',
      too_many_logins: 'unavailable',
      logins_busy: 'unavailable',
      too_many_sockets: 'unavailable',
    }
    for (const code of Object.keys(PROBLEMS) as ProblemCode[])
      expect([code, outcomeOfProblem(code, PROBLEMS[code].status)]).toEqual([code, special[code] ?? 'error'])
  })

  test('distinguish an unavailable service from wrong usage', () => {
    const gateway = { type: 'about:blank', title: '', detail: '', code: 'http_502', status: 502 }
    expect(outcomeOfError(new ConnectionError('refused'))).toBe('unavailable')
    expect(outcomeOfError(new ApiProblem(gateway, undefined))).toBe('unavailable')
    expect(outcomeOfError(new UsageError('no'))).toBe('error')
  })

  test('are all in the help', () => {
    for (const code of Object.values(EXIT)) expect(exitCodeHelp()).toMatch(new RegExp(`^ +${code}  `, 'm'))
  })
})
