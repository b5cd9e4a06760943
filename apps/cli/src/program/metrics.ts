import { RunStatus } from '@aduana/contracts/metrics/runs'
import { type Command, Option } from 'commander'
import {
  listMetricsCommand,
  listRunsCommand,
  type MetricsOptions,
  type RecomputeOptions,
  type RunsOptions,
  recomputeCommand,
  saveMetricCommand,
  showMetricCommand,
} from '../commands/metrics.ts'
import { listSeriesCommand, saveSeriesCommand, showSeriesCommand } from '../commands/series.ts'
import type { Io } from '../io.ts'
import { day, type ExitWith, ifVersion, json, runStatus, wholeNumber } from './arguments.ts'

/** The commands about metrics. */
export function addMetricCommands(program: Command, io: Io, exitWith: ExitWith): void {
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
    .option('--definition', 'with a code: print only its definition, as metric save takes it')
    .addOption(json())
    .action(async (code: string | undefined, options: MetricsOptions) =>
      exitWith(
        await (code === undefined ? listMetricsCommand(io, options) : showMetricCommand(io, code, options)),
      ),
    )

  program
    .command('metric')
    .description('change metrics')
    .command('save')
    .description('make the definition in a file the next version of its metric')
    .argument('<file>', 'JSON, as metrics <code> --definition prints it')
    .addOption(ifVersion())
    .addOption(json())
    .action(async (file: string, options: { json?: boolean; ifVersion?: number }) =>
      exitWith(await saveMetricCommand(io, file, options)),
    )

  const series = program
    .command('series')
    .description('what metrics are made of, or the definition of one series as JSON')
    .argument('[code]')
    .addOption(json())
    .action(async (code: string | undefined, options: { json?: boolean }) =>
      exitWith(await (code === undefined ? listSeriesCommand(io, options) : showSeriesCommand(io, code))),
    )
  series
    .command('save')
    .description('make the definition in a file the next version of its series')
    .argument('<file>', 'JSON, as series <code> prints it')
    .addOption(ifVersion())
    .addOption(json())
    .action(async (file: string, options: { json?: boolean; ifVersion?: number }) =>
      exitWith(await saveSeriesCommand(io, file, options)),
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
