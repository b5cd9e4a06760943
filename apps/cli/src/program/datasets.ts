import type { Command } from 'commander'
import { datasetsCommand, saveDatasetCommand, showDatasetCommand } from '../commands/datasets.ts'
import { type WindowsOptions, windowsCommand } from '../commands/windows.ts'
import type { Io } from '../io.ts'
import { day, type ExitWith, ifVersion, json } from './arguments.ts'

/** Adds the commands for datasets. */
export function addDatasetCommands(program: Command, io: Io, exitWith: ExitWith): void {
  program
    .command('datasets')
    .description('list the datasets, or show one; with --json its definition')
    .argument('[code]')
    .addOption(json())
    .action(async (code: string | undefined, options: { json?: boolean }) =>
      exitWith(
        await (code === undefined ? datasetsCommand(io, options) : showDatasetCommand(io, code, options)),
      ),
    )

  program
    .command('windows')
    .description('show which days of a dataset are loaded, and by which job')
    .argument('<dataset>')
    .option('--from <day>', 'first day (default: two months before the last day with rows)', day)
    .option('--to <day>', 'the first day after the range', day)
    .option('--scope <scope>', 'only this replace scope, such as a company')
    .addOption(json())
    .action(async (dataset: string, options: WindowsOptions) =>
      exitWith(await windowsCommand(io, dataset, options)),
    )

  program
    .command('dataset')
    .description('change datasets')
    .command('save')
    .description('save the definition in a file as the next version of its dataset')
    .argument('<file>', 'JSON, as `aduana datasets <code> --json` prints it')
    .addOption(ifVersion())
    .addOption(json())
    .action(async (file: string, options: { json?: boolean; ifVersion?: number }) =>
      exitWith(await saveDatasetCommand(io, file, options)),
    )
}
