import { LoadMode } from '@aduana/contracts/dataset-definition'
import { Day } from '@aduana/contracts/dates'
import { JobStatus } from '@aduana/contracts/job-states'
import { RunStatus } from '@aduana/contracts/metrics/runs'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { type ApproveOptions, approveCommand } from './commands/approve.ts'
import { datasetsCommand, saveDatasetCommand, showDatasetCommand } from './commands/datasets.ts'
import { demoCommand } from './commands/demo.ts'
import { type ImportOptions, importCommand } from './commands/import.ts'
import { cancelCommand, type JobsOptions, listJobsCommand, showJobCommand } from './commands/jobs.ts'
import { type LoginOptions, loginCommand } from './commands/login.ts'
import {
  listMetricsCommand,
  listRunsCommand,
  type MetricsOptions,
  type RecomputeOptions,
  type RunsOptions,
  recomputeCommand,
  showMetricCommand,
} from './commands/metrics.ts'
import { previewCommand } from './commands/preview.ts'
import { rejectsCommand } from './commands/rejects.ts'
import { type SampleCommandOptions, sampleCommand } from './commands/sample.ts'
import { type TestdataOptions, testdataCommand } from './commands/testdata.ts'
import { type UndoOptions, undoCommand } from './commands/undo.ts'
import { ApiProblem, describeError, outcomeOfError } from './errors.ts'
import { EXIT, exitCodeHelp } from './exit-codes.ts'
import { Interrupted, type Io } from './io.ts'
import { SAMPLES } from './sample/sample.ts'

const MOST_ROWS = 100_000_000

const ENVIRONMENT = `Environment:
  ADUANA_URL                       where the API is (http://127.0.0.1:3000)
  ADUANA_TOKEN                     a token to use in place of a stored login
  ADUANA_EMAIL, ADUANA_PASSWORD    a login to use in place of a stored one
  XDG_CONFIG_HOME                  where the login is stored (~/.config)`

/** Run the program with the arguments after its name. Resolves with the code to exit with; never rejects. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let code: number = EXIT.loaded
  const program = describeProgram(io, (exitCode) => {
    code = exitCode
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    return endWith(error, io, args.includes('--json'))
  }
}

function endWith(error: unknown, io: Io, json: boolean): number {
  // Commander has printed its own message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.loaded : EXIT.error
  if (error instanceof Interrupted) return error.exitCode
  const outcome = outcomeOfError(error)
  if (json && error instanceof ApiProblem)
    io.out(JSON.stringify({ outcome, exitCode: EXIT[outcome], problem: error.problem }))
  io.err(`aduana: ${describeError(error).replaceAll('\n', '\n        ')}\n`)
  return EXIT[outcome]
}

function describeProgram(io: Io, exitWith: (code: number) => void): Command {
  const program = new Command('aduana')
    .description('Brings files into Aduana and shows what became of them.')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: (text) => io.err(text) })
    .addHelpText('after', `\n${exitCodeHelp()}\n\n${ENVIRONMENT}`)

  program
    .command('login')
    .description('log in and store the token for the commands that follow')
    .option('--url <url>', 'where the API is')
    .option('--email <email>')
    .option('--password <password>', 'asked for if not given; other users of this machine can see it here')
    .action(async (options: LoginOptions) => exitWith(await loginCommand(io, options)))

  program
    .command('import')
    .description('import a file and wait until it has been loaded')
    .argument('<file>')
    .requiredOption('-d, --dataset <dataset>', 'what the records are; see: aduana datasets')
    .option('--from <day>', 'first day of the window that the file replaces', day)
    .option('--to <day>', 'the first day after the window', day)
    .option('--scope <scope>', 'the part of the dataset that the file replaces, such as a company')
    .addOption(new Option('--mode <mode>', 'how to load').choices(LoadMode.options))
    .option('--force', 'import the same bytes again')
    .option('--dry-run', 'show what the import would do, and change nothing')
    .option('--require-approval', 'stop before the load until somebody has approved what it would do')
    .option(
      '--expect-records <number>',
      'load nothing unless the file has exactly so many records',
      wholeNumber(0, 1_000_000_000),
    )
    .addOption(
      new Option('--on-conflict <what>', 'when another job holds the window').choices(['wait', 'reject']),
    )
    .option('--priority <number>', 'from -100 to 100; higher goes first', wholeNumber(-100, 100))
    .addOption(
      new Option('--retry [times]', 'ask again when the queue is full or the service away')
        .preset('3')
        .argParser(wholeNumber(0, 1000)),
    )
    .option('--wait', 'wait for the end of the job', true)
    .option('--no-wait', 'only hand the file over')
    .addOption(json())
    .addHelpText('after', `\n${exitCodeHelp()}`)
    .action(async (file: string, options: ImportOptions) => exitWith(await importCommand(io, file, options)))

  program
    .command('jobs')
    .description('the newest jobs, or one job')
    .argument('[id]', undefined, uuid)
    .option('-f, --follow', 'with an id: show its progress until it has ended')
    .addOption(new Option('--status <status>').choices(JobStatus.options).argParser(jobStatus))
    .option('-d, --dataset <dataset>')
    .option('--limit <number>', 'how many', wholeNumber(1, 10_000), 20)
    .addOption(json())
    .action(async (id: string | undefined, options: JobsOptions) =>
      exitWith(await (id === undefined ? listJobsCommand(io, options) : showJobCommand(io, id, options))),
    )

  program
    .command('cancel')
    .description('cancel a job that has not loaded its rows yet')
    .argument('<id>', undefined, uuid)
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) => exitWith(await cancelCommand(io, id, options)))

  program
    .command('undo')
    .description('take an import back: its rows go, and what they replaced comes back')
    .argument('<job>', undefined, uuid)
    .option('--unwind', 'also the later imports that stand on it, newest first')
    .option('--wait', 'wait for the end of the job', true)
    .option('--no-wait', 'only ask for it')
    .addOption(json())
    .action(async (id: string, options: UndoOptions) => exitWith(await undoCommand(io, id, options)))

  program
    .command('preview')
    .description('what the load of a job would do, when it is a dry run or asks for approval')
    .argument('<job>', undefined, uuid)
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) =>
      exitWith(await previewCommand(io, id, options)),
    )

  program
    .command('approve')
    .description('approve what a job that waits for approval would do; to reject it: cancel')
    .argument('<job>', undefined, uuid)
    .option('--basis <sha256>', 'only the preview with this basis, as preview --json shows it')
    .addOption(json())
    .action(async (id: string, options: ApproveOptions) => exitWith(await approveCommand(io, id, options)))

  program
    .command('rejects')
    .description('the rejects of a job; with --json one on each line')
    .argument('<job>', undefined, uuid)
    .option('--limit <number>', 'how many', wholeNumber(1, 1_000_000), 100)
    .addOption(json())
    .action(async (id: string, options: { limit: number; json?: boolean }) =>
      exitWith(await rejectsCommand(io, id, options)),
    )

  describeDatasets(program, io, exitWith)
  describeMetrics(program, io, exitWith)

  program
    .command('sample')
    .description('write a file with realistic records and known faults')
    .option('--rows <number>', 'records', wholeNumber(1, MOST_ROWS), 120_000)
    .requiredOption('-o, --out <file>')
    .option(
      '--seed <number>',
      'the same seed makes the same file',
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
      1,
    )
    .addOption(new Option('-d, --dataset <dataset>').choices(Object.keys(SAMPLES)).default('production'))
    .option('--clean', 'only good records, none twice')
    .option('--from <day>', 'first day; two months that follow from the seed unless said', day)
    .option('--to <day>', 'the first day after the period', day)
    .option('--report <file>', 'write what the file holds as JSON')
    .action(async (options: SampleCommandOptions) => exitWith(await sampleCommand(io, options)))

  program
    .command('demo')
    .description('import a sample and compare what came out with what was put in')
    .option('--rows <number>', 'records', wholeNumber(1, MOST_ROWS), 120_000)
    .action(async (options: { rows: number }) => exitWith(await demoCommand(io, options)))

  program
    .command('testdata')
    .description('fill a test system: files of production and orders with known faults, and their metrics')
    .option(
      '--files <number>',
      'how many of each; every one is of two months of its own',
      wholeNumber(0, 100),
      2,
    )
    .option('--rows <number>', 'records in each', wholeNumber(1, MOST_ROWS), 20_000)
    .option(
      '--events <number>',
      'then tell so many times that a dataset has changed',
      wholeNumber(0, 1_000_000),
      0,
    )
    .action(async (options: TestdataOptions) => exitWith(await testdataCommand(io, options)))

  return program
}

const json = () => new Option('--json', 'print the result as JSON')

/** The commands about datasets. */
function describeDatasets(program: Command, io: Io, exitWith: (code: number) => void): void {
  program
    .command('datasets')
    .description('what can be imported, or one dataset; with --json its definition')
    .argument('[code]')
    .addOption(json())
    .action(async (code: string | undefined, options: { json?: boolean }) =>
      exitWith(
        await (code === undefined ? datasetsCommand(io, options) : showDatasetCommand(io, code, options)),
      ),
    )

  program
    .command('dataset')
    .description('change datasets')
    .command('save')
    .description('make the definition in a file the next version of its dataset')
    .argument('<file>', 'JSON, as `aduana datasets <code> --json` prints it')
    .addOption(json())
    .action(async (file: string, options: { json?: boolean }) =>
      exitWith(await saveDatasetCommand(io, file, options)),
    )
}

/** The commands about metrics. */
function describeMetrics(program: Command, io: Io, exitWith: (code: number) => void): void {
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

function day(text: string): string {
  const parsed = Day.safeParse(text)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError('It must be a day like 2025-03-01.')
}

function uuid(text: string): string {
  const parsed = z.uuid().safeParse(text)
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError('It must be the id of a job, as `aduana jobs` shows it.')
}

function jobStatus(text: string): JobStatus {
  const parsed = JobStatus.safeParse(text.toUpperCase())
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError(`Allowed choices are ${JobStatus.options.join(', ')}.`)
}

function runStatus(text: string): RunStatus {
  const parsed = RunStatus.safeParse(text.toUpperCase())
  if (parsed.success) return parsed.data
  throw new InvalidArgumentError(`Allowed choices are ${RunStatus.options.join(', ')}.`)
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^-?\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}
