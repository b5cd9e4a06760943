import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import libReport from 'istanbul-lib-report'
import reports from 'istanbul-reports'
import { collectCoverage } from './collect.ts'
import { shortfalls, summarize, table } from './summary.ts'

/* Reports what the tests ran of the services: `node …/coverage/main.js --from <folder> [--require <per cent>]`. */

/** What is measured: all that runs in production, but for the launcher. */
const MEASURED = [
  'packages/contracts',
  'packages/runtime',
  'packages/db',
  'packages/artifacts',
  'packages/messaging',
  'packages/outbox',
  'packages/engine',
  'packages/datasets',
  'packages/metric-compute',
  'packages/queue',
  'packages/jobs',
  'packages/metrics',
  'packages/pipeline',
  'apps/api',
  'apps/worker',
  'apps/cli',
]

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))

const { values } = parseArgs({ options: { from: { type: 'string' }, require: { type: 'string' } } })
if (values.from === undefined)
  throw new Error('--from is missing: the folder to which the tests have written')

const map = await collectCoverage(ROOT, values.from, MEASURED)
const context = libReport.createContext({ dir: join(ROOT, 'coverage'), coverageMap: map })
for (const kind of ['html', 'lcovonly', 'json-summary'] as const) reports.create(kind).execute(context)

const summaries = summarize(ROOT, map, MEASURED)
const missing = values.require === undefined ? [] : shortfalls(summaries, Number(values.require))
process.stdout.write(`${table(summaries)}\nLine by line: coverage/index.html\n`)
for (const sentence of missing) process.stderr.write(`${sentence}\n`)
process.exitCode = missing.length > 0 ? 1 : 0
