import { relative } from 'node:path'
import libCoverage, { type CoverageMap, type CoverageSummary } from 'istanbul-lib-coverage'

/** What is counted, in the order of the columns of the table. */
const COUNTED = ['statements', 'branches', 'functions', 'lines'] as const
/** What is required. Many branches are there for faults that kill the process in which they would be noted. */
const REQUIRED = ['statements', 'functions', 'lines'] as const

/** The coverage of a package, or of all. */
export interface Summary {
  name: string
  coverage: CoverageSummary
}

/** The coverage of each package, in their order. */
export function summarize(root: string, map: CoverageMap, packages: readonly string[]): Summary[] {
  return packages.map((name) => {
    const coverage = libCoverage.createCoverageSummary()
    for (const file of map.files()) {
      if (relative(root, file).startsWith(`${name}/`)) coverage.merge(map.fileCoverageFor(file).toSummary())
    }
    return { name, coverage }
  })
}

/** A table of the summaries and of the total over them, in per cent. */
export function table(summaries: readonly Summary[]): string {
  const total = libCoverage.createCoverageSummary()
  for (const { coverage } of summaries) total.merge(coverage)
  const rows = [...summaries, { name: 'all', coverage: total }].map(({ name, coverage }) => [
    name,
    ...COUNTED.map((kind) => coverage[kind].pct.toFixed(1)),
  ])
  const width = Math.max(...rows.map(([name = '']) => name.length))
  return [['', ...COUNTED], ...rows]
    .map(([name = '', ...cells]) =>
      [name.padEnd(width), ...cells.map((cell) => cell.padStart(10))].join('  '),
    )
    .join('\n')
}

/** What is below `least` per cent, a sentence for each package. */
export function shortfalls(summaries: readonly Summary[], least: number): string[] {
  return summaries.flatMap(({ name, coverage }) => {
    const low = REQUIRED.filter((kind) => coverage[kind].pct < least)
    if (low.length === 0) return []
    const said = low.map((kind) => `${coverage[kind].pct.toFixed(1)} % of its ${kind}`)
    return [`${name}: the tests run only ${said.join(', ')}; ${least} % are required`]
  })
}
