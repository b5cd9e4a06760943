import { describe, expect, test } from 'vitest'
import { FINAL_JOBS, isFinal, JobStatus, JobType, OPEN_JOBS, UNSUCCESSFUL_JOBS } from './job-states.ts'
import {
  ENDED_RUNS,
  OPEN_RUNS,
  REQUESTED_RUNS,
  RETRIABLE_RUNS,
  RunStatus,
  runStatesBefore,
  UNSUCCESSFUL_RUNS,
} from './metrics/runs.ts'
import { stagesOf } from './stages.ts'

describe('the lists of states', () => {
  test('divide the states of jobs and of runs', () => {
    expect([...OPEN_JOBS, ...FINAL_JOBS].sort()).toEqual([...JobStatus.options].sort())
    expect(JobStatus.options.filter(isFinal)).toEqual(FINAL_JOBS)
    expect([...OPEN_RUNS, ...ENDED_RUNS].sort()).toEqual([...RunStatus.options].sort())
  })

  test('agree with the transitions of runs', () => {
    expect(runStatesBefore('CANCELLED')).toEqual(OPEN_RUNS)
    expect(runStatesBefore('SUCCEEDED')).toEqual(REQUESTED_RUNS)
    expect(runStatesBefore('FAILED')).toEqual(REQUESTED_RUNS)
    expect(runStatesBefore('EXPIRED')).toEqual(['PENDING'])
    expect(ENDED_RUNS.filter((status) => runStatesBefore('REQUESTED').includes(status))).toEqual(
      RETRIABLE_RUNS,
    )
    expect(UNSUCCESSFUL_RUNS).not.toContain('SUCCEEDED')
    expect(UNSUCCESSFUL_JOBS).not.toContain('COMPLETED')
  })
})

test('each type of job has its stages, which end with the fan-out', () => {
  expect(JobType.options.map((type) => stagesOf(type).at(-1))).toEqual(['fan-out', 'fan-out'])
  expect(stagesOf('import')).toHaveLength(5)
  expect(stagesOf('undo')).toEqual(['load', 'fan-out'])
})
