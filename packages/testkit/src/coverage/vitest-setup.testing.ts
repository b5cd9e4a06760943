import { measureCoverage, measuringOption } from '@aduana/testkit/coverage/measure'
import { afterAll, expect } from 'vitest'

/*
 * Loaded before each test file when coverage is measured: of the test's own process, and of those that it starts. What is
 * killed cannot say what it ran, and costs as much to measure: the processes of fault tests are left out.
 */

const folder = process.env.ADUANA_COVERAGE_DIR
if (folder !== undefined && folder !== '') {
  const option = measuringOption(folder)
  // A process runs several files of tests.
  const others = (process.env.NODE_OPTIONS ?? '').replace(option, '').trim()
  const aboutFaults = /\/apps\/faults\/|kill\.test\.ts$/.test(expect.getState().testPath ?? '')
  process.env.NODE_OPTIONS = aboutFaults ? others : `${others} ${option}`.trim()
  afterAll(measureCoverage(folder))
}
