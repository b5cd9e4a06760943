import { type ServerMessage, sequence } from '@aduana/contracts/progress'
import { describe, expect, test } from 'vitest'
import { JOB_ID, job } from '../testing/jobs.ts'
import { hasEnded, viewOf, withMessage, withPolled } from './view.ts'

const working = job({ status: 'PROCESSING', stage: 'parse', progress: 5 })

function progress(seq: number, percent: number, id = JOB_ID): ServerMessage {
  return {
    type: 'progress',
    jobId: id,
    seq,
    stage: 'parse',
    progress: percent,
    message: 'Parsing',
    totalItems: null,
    processedItems: 10,
    rowsPerSecond: 5,
    etaSeconds: 2,
  }
}

describe('the view of a job', () => {
  test('follows messages with increasing numbers and ignores older ones', () => {
    let view = viewOf(working, sequence(3, 0))
    view = withMessage(view, progress(sequence(3, 2), 20))
    expect(view).toMatchObject({ progress: 20, processedItems: 10, seq: sequence(3, 2) })
    expect(withMessage(view, progress(sequence(3, 1), 30))).toBe(view)
    expect(withMessage(view, progress(sequence(3, 2), 30))).toBe(view)
  })

  test('never decreases, whatever a snapshot after a reconnect contains', () => {
    const view = withMessage(viewOf(working, sequence(3, 0)), progress(sequence(3, 9), 20))
    const again: ServerMessage = { type: 'snapshot', topic: 'job', seq: sequence(3, 0), job: working }
    expect(withMessage(view, again)).toMatchObject({ progress: 20, seq: sequence(3, 9) })
    expect(withPolled(view, working)).toMatchObject({ progress: 20, seq: sequence(3, 9) })
  })

  test('accepts a newer state and ignores a zombie that reports an older one', () => {
    const view = viewOf(working, sequence(3, 7))
    const loading = job({ status: 'PROCESSING', stage: 'load', progress: 60 })
    const next = withMessage(view, { type: 'state', seq: sequence(4, 0), job: loading })
    expect(next).toMatchObject({ stage: 'load', progress: 60 })
    expect(withMessage(next, progress(sequence(3, 99), 90))).toBe(next)
    expect(withMessage(next, { type: 'state', seq: sequence(3, 0), job: working })).toBe(next)
  })

  test('ends with a final state and keeps it', () => {
    const done = job({ status: 'COMPLETED', stage: 'fan-out', progress: 100 })
    const view = withMessage(viewOf(working, 1), { type: 'state', seq: sequence(5, 0), job: done })
    expect(hasEnded(view)).toBe(true)
    expect(withMessage(view, progress(sequence(5, 1), 10))).toBe(view)
  })

  test('ignores other jobs, heartbeats and lists', () => {
    const view = viewOf(working, 1)
    expect(withMessage(view, progress(sequence(9, 0), 99, '0b0d4b55-3f8e-4c0e-8f60-6c2b7f1d2a22'))).toBe(view)
    expect(withMessage(view, { type: 'heartbeat' })).toBe(view)
    expect(withMessage(view, { type: 'snapshot', topic: 'jobs', jobs: [] })).toBe(view)
  })
})
