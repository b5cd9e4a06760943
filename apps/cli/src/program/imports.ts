import { LoadMode } from '@aduana/contracts/dataset-definition'
import { JobStatus, JobType, WaitingFor } from '@aduana/contracts/job-states'
import { ImportForm } from '@aduana/contracts/jobs'
import { type Command, Option } from 'commander'
import { type ApproveOptions, approveCommand } from '../commands/approve.ts'
import { artifactsCommand, downloadCommand } from '../commands/artifacts.ts'
import { type ImportOptions, importCommand } from '../commands/import.ts'
import {
  cancelCommand,
  type JobsOptions,
  listJobsCommand,
  retryCommand,
  showJobCommand,
} from '../commands/jobs.ts'
import { previewCommand } from '../commands/preview.ts'
import { rejectsCommand } from '../commands/rejects.ts'
import { type UndoOptions, undoCommand } from '../commands/undo.ts'
import { exitCodeHelp } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { day, delimiter, type ExitWith, jobStatus, json, moment, uuid, wholeNumber } from './arguments.ts'

/** The commands about imports: bring a file, follow its job, decide about it. */
export function addImportCommands(program: Command, io: Io, exitWith: ExitWith): void {
  program
    .command('import')
    .description('import a file and wait until it has been loaded')
    .argument('<file>', 'CSV or other delimited text, also packed by gzip; - reads standard input')
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
    .addOption(
      new Option('--encoding <encoding>', 'of the text, where it is not recognised rightly').choices(
        ImportForm.shape.encoding.unwrap().options,
      ),
    )
    .option(
      '--delimiter <character>',
      'between the cells, where it is not recognised rightly; or: tab',
      delimiter,
    )
    .option('--file-name <name>', 'what the file is called, for standard input above all')
    .option(
      '--start-at <time>',
      'do not start before: 2026-12-01T05:00 (of this machine) or 2026-12-01T05:00:00Z',
      moment,
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
    .addOption(new Option('--type <type>', 'such as import or undo').choices(JobType.options))
    .addOption(
      new Option(
        '--waiting-for <what>',
        'window: for days that another job holds; approval: for a person; dependency: for another job (none does yet)',
      ).choices(WaitingFor.options),
    )
    .option('-d, --dataset <dataset>')
    .option('--undone', 'also imports that have been taken back')
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
    .command('retry')
    .description('have a failed job tried again from the stage that failed')
    .argument('<id>', undefined, uuid)
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) => exitWith(await retryCommand(io, id, options)))

  program
    .command('undo')
    .description('take an import back: its rows go, and what they replaced comes back')
    .argument('<job>', undefined, uuid)
    .option('--unwind', 'also the later imports that depend on it, newest first')
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
    .command('artifacts')
    .description('the files of a job: what was sent, its rejects, its duplicates, its preview')
    .argument('<job>', undefined, uuid)
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) =>
      exitWith(await artifactsCommand(io, id, options)),
    )

  program
    .command('download')
    .description('download a file of a job')
    .argument('<job>', undefined, uuid)
    .argument('<name>', 'as artifacts lists it')
    .option('-o, --out <file>', 'where to; - for standard output; a new file in this folder unless said')
    .action(async (id: string, name: string, options: { out?: string }) =>
      exitWith(await downloadCommand(io, id, name, options)),
    )

  program
    .command('rejects')
    .description('the rejects of a job; with --json one on each line')
    .argument('<job>', undefined, uuid)
    .option('--limit <number>', 'how many', wholeNumber(1, 1_000_000), 100)
    .addOption(json())
    .action(async (id: string, options: { limit: number; json?: boolean }) =>
      exitWith(await rejectsCommand(io, id, options)),
    )
}
