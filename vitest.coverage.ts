import { Session } from 'node:inspector/promises'
import { fileURLToPath } from 'node:url'
import v8 from '@vitest/coverage-v8'
import type { CoverageProviderModule } from 'vitest/node'

/*
 * The coverage provider of Vitest by V8, except that it records whether code has run, not how often. V8 does not optimize
 * code that it counts, which makes the tests a quarter slower.
 */

const session = new Session()
let isStarted = false

const provider: CoverageProviderModule = {
  ...v8,
  startCoverage: async () => {
    if (isStarted) return
    isStarted = true
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })
  },
  takeCoverage: async (options) => {
    const { result } = await session.post('Profiler.takePreciseCoverage')
    const isOurs = (url: string) => url.startsWith('file://') && !url.includes('/node_modules/')
    return {
      result: result
        .filter(({ url }) => isOurs(url))
        .map((script) => ({
          ...script,
          startOffset: options?.moduleExecutionInfo?.get(fileURLToPath(script.url))?.startOffset ?? 0,
        })),
    }
  },
  // Each process runs many files: it records until its end.
  stopCoverage: async () => undefined,
}

export default provider
