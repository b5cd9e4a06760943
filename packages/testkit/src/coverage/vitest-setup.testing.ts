import { measureCoverage, measuringOption } from '@aduana/testkit/coverage/measure'
import { afterAll } from 'vitest'

/* Loaded before each test file when coverage is measured: of the test's own process, and of those that it starts. */

const folder = process.env.ADUANA_COVERAGE_DIR
if (folder !== undefined && folder !== '') {
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} ${measuringOption(folder)}`.trim()
  afterAll(measureCoverage(folder))
}
