import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { join } from 'node:path'

/** Built modules of the product, the only ones whose coverage is kept. */
const BUILT = /\/(?:apps|packages)\/(?!testkit\/)[^/]+\/dist\/[^?]+\.js$/

/**
 * Begin to note which code of the product this process runs. What is answered writes what has run until then to a file of
 * `folder`; it may be called more than once. Whether code ran is noted, not how often: to count would keep V8 from
 * optimizing.
 */
export function measureCoverage(folder: string): () => void {
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })
  return () => {
    session.post('Profiler.takePreciseCoverage', (error, coverage) => {
      if (error !== null) throw new Error('the coverage could not be read', { cause: error })
      const result = coverage.result.filter(({ url }) => BUILT.test(url))
      if (result.length === 0) return
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, `${randomUUID()}.json`), JSON.stringify({ result }))
    })
  }
}

const PRELOAD = '/coverage/preload.js?folder='

/** Whether a process that starts with these options of Node measures itself. */
export const isMeasured = (options = ''): boolean => options.includes(PRELOAD)

/** The option of Node with which a process measures itself, from its start to its end. */
export function measuringOption(folder: string): string {
  const preload = new URL('./preload.js', import.meta.url)
  preload.searchParams.set('folder', folder)
  return `--import=${preload.href}`
}
