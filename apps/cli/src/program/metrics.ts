import { RunStatus } from '@aduana/contracts/metrics/runs'
import { type Command, Option } from 'commander'
import {
  listMetricsCommand,
  listRunsCommand,
  type MetricsOptions,
  type RecomputeOptions,
  type RunsOptions,
  recomputeCommand,
  showMetricCommand,
} from '../commands/metrics.ts'
import type { Io } from '../io.ts'
import { day, type ExitWith, json, runStatus, wholeNumber } from './arguments.ts'

/** The commands about metrics. */
export function describeMetrics(program: Command, io: Io, exitWith: ExitWith): void {
  program
    .command('metrics')
    .description('the metrics, or one metric with its values')
    .argument('[code]')
    .option('--tab <tab>', 'only those of a dashboard')
    .option('--from <day>', 'with a code: the first day; the last 14 days that have values unless said', day)
    .option('--to <day>', 'with a code: the first day after the range', day)
    .option('--company <company>')
    .option('--warehouse <warehouse>')
    .option('--limit <number>', 'with a code: how many values', wholeNumber(1, 1_000_000), 500)
    .addOption(json())
    .action(async (code: string | undefined, options: MetricsOptions) =>
      exitWith(
        await (code === undefined ? listMetricsCommand(io, options) : showMetricCommand(io, code, options)),
      ),
    )

  program
    .command('runs')
    .description('the newest runs of metrics: what they wait for, and why they failed')
    .addOption(new Option('--status <status>').choices(RunStatus.options).argParser(runStatus))
    .option('--metric <code>')
    .option('--limit <number>', 'how many', wholeNumber(1, 10_000), 20)
    .addOption(json())
    .action(async (options: RunsOptions) => exitWith(await listRunsCommand(io, options)))

  program
    .command('recompute')
    .description('compute days of a metric anew, and then what needs it')
    .argument('<code>')
    .requiredOption('--from <day>', 'first day', day)
    .requiredOption('--to <day>', 'the first day after the range', day)
    .addOption(json())
    .action(async (code: string, options: RecomputeOptions) =>
      exitWith(await recomputeCommand(io, code, options)),
    )
}
