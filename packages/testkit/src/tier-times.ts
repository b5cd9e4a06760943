import type { Reporter, TestModule } from 'vitest/node'
import { TIERS } from './tiers.ts'

interface TierTime {
  began: number
  ended: number
  files: number
  tests: number
  /** The sum of the durations of its files in milliseconds. */
  sum: number
}

/** Prints the duration of each tier at the end of a test run. */
export default class TierTimes implements Reporter {
  readonly #tiers = new Map<string, TierTime>()

  onTestModuleStart({ project }: TestModule): void {
    if (this.#tiers.has(project.name)) return
    this.#tiers.set(project.name, { began: performance.now(), ended: 0, files: 0, tests: 0, sum: 0 })
  }

  onTestModuleEnd(module: TestModule): void {
    const tier = this.#tiers.get(module.project.name)
    if (tier === undefined) return
    tier.ended = performance.now()
    tier.files += 1
    tier.tests += [...module.children.allTests()].length
    tier.sum += module.diagnostic().duration
  }

  onTestRunEnd(): void {
    const lines = TIERS.flatMap((name) => {
      const tier = this.#tiers.get(name)
      return tier === undefined ? [] : [describeTier(name, tier)]
    })
    process.stdout.write(`\n${lines.join('\n')}\n`)
  }
}

function describeTier(name: string, { began, ended, files, tests, sum }: TierTime): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1).padStart(7)} s`
  return `${name.padStart(12)} ${seconds(ended - began)}  tests: ${tests}, files: ${files}, sum of file times: ${seconds(sum).trim()}`
}
