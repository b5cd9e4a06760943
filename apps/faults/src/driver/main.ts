import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { makePlan } from './plan.ts'
import { runPlan } from './run.ts'
import { withServers } from './servers.ts'

const USAGE = `npm run faults -- [--seeds 1] [--seed <first>] [--imports 200] [--workers 2|3]
`

const Whole = z.coerce.number().int().positive()
const Arguments = z.object({
  seeds: Whole.default(1),
  seed: z.coerce.number().int().min(0).max(0xffff_ffff).optional(),
  imports: Whole.default(200),
  workers: Whole.optional(),
})

const print = (text: string) => void process.stdout.write(`${text}\n`)

async function runSeeds({ seeds, seed, imports, workers }: z.infer<typeof Arguments>): Promise<boolean> {
  const first = seed ?? randomInt(2 ** 31)
  const bad: number[] = []
  for (let index = 0; index < seeds; index += 1) {
    const plan = makePlan(first + index, { imports, ...(workers === undefined ? {} : { workers }) })
    print(`seed ${plan.seed}: ${imports} imports, ${plan.workers} workers`)
    const report = await runPlan(plan)
    const summary = [report.endings, report.faults].map((counts) =>
      Object.entries(counts)
        .map(([name, times]) => `${name} ${times}`)
        .join(', '),
    )
    print(`  ${summary.join(' | faults: ')} | ${report.seconds.toFixed(0)} s`)
    for (const broken of report.broken) print(`  BROKEN ${broken}`)
    if (report.broken.length > 0) bad.push(plan.seed)
  }
  print(bad.length === 0 ? `nothing broken in ${seeds} runs` : `broken with seed ${bad.join(', ')}`)
  return bad.length === 0
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      seed: { type: 'string' },
      imports: { type: 'string' },
      workers: { type: 'string' },
    },
  })
  const parsed = Arguments.safeParse(values)
  if (!parsed.success) {
    process.stderr.write(USAGE)
    return 2
  }
  return withServers(async () => ((await runSeeds(parsed.data)) ? 0 : 1))
}

process.exit(await main())
