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

/** Adds the commands for metrics, series and runs. */
export function addMetricCommands(program: Command, io: Io, exitWith: ExitWith): void {
  program
    .command('metrics')
    .description('list the metrics, or show one with its values')
    .argument('[code]')
    .option('--tab <tab>', 'only metrics of this dashboard')
    .option('--from <day>', 'with a code: first day (default: 14 days before the last day with values)', day)
    .option('--to <day>', 'with a code: the first day after the range', day)
    .option('--company <company>')
    .option('--warehouse <warehouse>')
    .option('--limit <number>', 'with a code: maximum number of values', wholeNumber(1, 1_000_000), 500)
    .option('--definition', 'with a code: print only its definition, for metric save')
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
    .description('save the definition in a file as the next version of its metric')
    .argument('<file>', 'JSON, as metrics <code> --definition prints it')
    .addOption(ifVersion())
    .addOption(json())
    .action(async (file: string, options: { json?: boolean; ifVersion?: number }) =>
      exitWith(await saveMetricCommand(io, file, options)),
    )

  const series = program
    .command('series')
    .description('list the series, or print the definition of one as JSON')
    .argument('[code]')
    .addOption(json())
    .action(async (code: string | undefined, options: { json?: boolean }) =>
      exitWith(await (code === undefined ? listSeriesCommand(io, options) : showSeriesCommand(io, code))),
    )
  series
    .command('save')
    .description('save the definition in a file as the next version of its series')
    .argument('<file>', 'JSON, as series <code> prints it')
    .addOption(ifVersion())
    .addOption(json())
    .action(async (file: string, options: { json?: boolean; ifVersion?: number }) =>
      exitWith(await saveSeriesCommand(io, file, options)),
    )

  program
    .command('runs')
    .description('list the newest metric runs: what they wait for, and why they failed')
    .addOption(new Option('--status <status>').choices(RunStatus.options).argParser(runStatus))
    .option('--metric <code>')
    .option('--limit <number>', 'maximum number', wholeNumber(1, 10_000), 20)
    .addOption(json())
    .action(async (options: RunsOptions) => exitWith(await listRunsCommand(io, options)))

  program
    .command('recompute')
    .description('recompute days of a metric, and the metrics that depend on it')
    .argument('<code>')
    .requiredOption('--from <day>', 'first day', day)
    .requiredOption('--to <day>', 'the first day after the range', day)
    .addOption(json())
    .action(async (code: string, options: RecomputeOptions) =>
      exitWith(await recomputeCommand(io, code, options)),
    )
}
