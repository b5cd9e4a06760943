import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { withServers } from '../driver/servers.ts'
import { deadlocksOf } from './log-summary.ts'
import { describeSoak } from './report.ts'
import { runSoak } from './soak.ts'

const USAGE = `npm run test:long -- [--minutes 30] [--seed <number>] [--workers 3] [--pace 500]
`

const Whole = z.coerce.number().int().positive()
const Arguments = z.object({
  minutes: z.coerce.number().positive().default(30),
  seed: z.coerce.number().int().min(0).max(0xffff_ffff).optional(),
  workers: Whole.default(3),
  pace: Whole.default(500),
})

const print = (text: string) => void process.stdout.write(`${text}\n`)

const began = performance.now()
const clock = () => `[${((performance.now() - began) / 60_000).toFixed(1).padStart(5)} min]`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string' },
      workers: { type: 'string' },
      pace: { type: 'string' },
    },
  })
  const parsed = Arguments.safeParse(values)
  if (!parsed.success) {
    process.stderr.write(USAGE)
    return 2
  }
  const { seed = randomInt(2 ** 31), ...rest } = parsed.data
  print(`seed ${seed}: ${rest.minutes} minutes, ${rest.workers} workers`)
  return withServers(async ({ postgresLog }) => {
    const report = await runSoak({ seed, ...rest }, (line) => print(`${clock()} ${line}`))
    for (const line of describeSoak(report)) print(line)
    for (const deadlock of deadlocksOf(await readFile(postgresLog, 'utf8')).slice(0, 3))
      print(`\n${deadlock}`)
    print('')
    for (const broken of report.broken) print(`BROKEN ${broken}`)
    print(report.broken.length === 0 ? `nothing broken with seed ${seed}` : `broken with seed ${seed}`)
    return report.broken.length === 0 ? 0 : 1
  })
}

process.exit(await main())
