import { readFileSync } from 'node:fs'
import { systemCode } from './errors.mjs'

/**
 * Counts the tests in vitest's JSON report. A test file that failed as a whole (it does not load, a hook threw) counts
 * as one failure; so does a report that is missing, because then vitest did not come to its end.
 * @param {string} file
 * @returns {{ passed: number, failed: number }}
 */
export function readTally(file) {
  let text
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { passed: 0, failed: 1 }
    throw error
  }
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(text)
  /** @type {{ status: string, assertionResults: { status: string }[] }[]} */
  const files = testResults
  const brokenFiles = files.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((result) => result.status === 'failed'),
  )
  return { passed: numPassedTests, failed: numFailedTests + brokenFiles.length }
}
