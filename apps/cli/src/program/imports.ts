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

/** Adds the commands for imports and jobs. */
export function addImportCommands(program: Command, io: Io, exitWith: ExitWith): void {
  program
    .command('import')
    .description('import a file and wait until it is loaded')
    .argument('<file>', 'CSV or other delimited text, plain or gzip; - reads standard input')
    .requiredOption('-d, --dataset <dataset>', 'code of the dataset; to list them: aduana datasets')
    .option('--from <day>', 'first day of the window that the file replaces', day)
    .option('--to <day>', 'the first day after the window', day)
    .option('--scope <scope>', 'the replace scope of the file, such as a company')
    .addOption(new Option('--mode <mode>', 'how to load').choices(LoadMode.options))
    .option('--force', 'import the same file again')
    .option('--dry-run', 'show what the import would change, and change nothing')
    .option('--require-approval', 'wait for approval before the load')
    .option(
      '--expect-records <number>',
      'load nothing unless the file has exactly this many records',
      wholeNumber(0, 1_000_000_000),
    )
    .addOption(
      new Option('--on-conflict <what>', 'when another job has locked the window').choices([
        'wait',
        'reject',
      ]),
    )
    .addOption(
      new Option('--encoding <encoding>', 'encoding of the file, if it is not detected correctly').choices(
        ImportForm.shape.encoding.unwrap().options,
      ),
    )
    .option(
      '--delimiter <character>',
      'delimiter of the file, if it is not detected correctly; or: tab',
      delimiter,
    )
    .option('--file-name <name>', 'name of the file, for standard input')
    .option(
      '--start-at <time>',
      'do not start before this time: 2026-12-01T05:00 (zone of this machine) or 2026-12-01T05:00:00Z',
      moment,
    )
    .option('--priority <number>', 'from -100 to 100; higher goes first', wholeNumber(-100, 100))
    .addOption(
      new Option('--retry [times]', 'retry when the queue is full or the service is unavailable')
        .preset('3')
        .argParser(wholeNumber(0, 1000)),
    )
    .option('--wait', 'wait until the job ends', true)
    .option('--no-wait', 'do not wait after the upload')
    .addOption(json())
    .addHelpText('after', `\n${exitCodeHelp()}`)
    .action(async (file: string, options: ImportOptions) => exitWith(await importCommand(io, file, options)))

  program
    .command('jobs')
    .description('list the newest jobs, or show one')
    .argument('[id]', undefined, uuid)
    .option('-f, --follow', 'with an id: show the progress until the job ends')
    .addOption(new Option('--status <status>').choices(JobStatus.options).argParser(jobStatus))
    .addOption(new Option('--type <type>', 'such as import or undo').choices(JobType.options))
    .addOption(
      new Option(
        '--waiting-for <what>',
        'window: a window that another job has locked; approval: an approval',
      ).choices(WaitingFor.options),
    )
    .option('-d, --dataset <dataset>')
    .option('--undone', 'include undone imports')
    .option('--limit <number>', 'maximum number', wholeNumber(1, 10_000), 20)
    .addOption(json())
    .action(async (id: string | undefined, options: JobsOptions) =>
      exitWith(await (id === undefined ? listJobsCommand(io, options) : showJobCommand(io, id, options))),
    )

  program
    .command('cancel')
    .description('cancel a job before its load is complete')
    .argument('<id>', undefined, uuid)
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) => exitWith(await cancelCommand(io, id, options)))

  program
    .command('retry')
    .description('retry a failed job from the stage that failed')
    .argument('<id>', undefined, uuid)
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) => exitWith(await retryCommand(io, id, options)))

  program
    .command('undo')
    .description('undo an import: delete its rows and restore what they replaced')
    .argument('<job>', undefined, uuid)
    .option('--unwind', 'also undo later imports that depend on it, newest first')
    .option('--wait', 'wait until the job ends', true)
    .option('--no-wait', 'do not wait until the job ends')
    .addOption(json())
    .action(async (id: string, options: UndoOptions) => exitWith(await undoCommand(io, id, options)))

  program
    .command('preview')
    .description('show what a dry run, or a job that waits for approval, would change')
    .argument('<job>', undefined, uuid)
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) =>
      exitWith(await previewCommand(io, id, options)),
    )

  program
    .command('approve')
    .description('approve a job that waits for approval; to reject it: cancel')
    .argument('<job>', undefined, uuid)
    .option('--basis <sha256>', 'approve only the preview with this basis, from preview --json')
    .addOption(json())
    .action(async (id: string, options: ApproveOptions) => exitWith(await approveCommand(io, id, options)))

  program
    .command('artifacts')
    .description('list the files of a job: original, rejects, duplicates, preview')
    .argument('<job>', undefined, uuid)
    .addOption(json())
    .action(async (id: string, options: { json?: boolean }) =>
      exitWith(await artifactsCommand(io, id, options)),
    )

  program
    .command('download')
    .description('download a file of a job')
    .argument('<job>', undefined, uuid)
    .argument('<name>', 'name from artifacts')
    .option('-o, --out <file>', 'target file, - for standard output (default: a new file in this folder)')
    .action(async (id: string, name: string, options: { out?: string }) =>
      exitWith(await downloadCommand(io, id, name, options)),
    )

  program
    .command('rejects')
    .description('list the rejects of a job; with --json one per line')
    .argument('<job>', undefined, uuid)
    .option('--limit <number>', 'maximum number', wholeNumber(1, 1_000_000), 100)
    .addOption(json())
    .action(async (id: string, options: { limit: number; json?: boolean }) =>
      exitWith(await rejectsCommand(io, id, options)),
    )
}
