import type { Command } from 'commander'
import { datasetsCommand, saveDatasetCommand, showDatasetCommand } from '../commands/datasets.ts'
import { type WindowsOptions, windowsCommand } from '../commands/windows.ts'
import type { Io } from '../io.ts'
import { day, type ExitWith, ifVersion, json } from './arguments.ts'

/** The commands about datasets. */
export function addDatasetCommands(program: Command, io: Io, exitWith: ExitWith): void {
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
    .command('windows')
    .description('which days of a dataset are loaded, and by which job')
    .argument('<dataset>')
    .option('--from <day>', 'first day; the two months up to the last day with rows unless said', day)
    .option('--to <day>', 'the first day after the range', day)
    .option('--scope <scope>', 'only this part of the dataset, such as a company')
    .addOption(json())
    .action(async (dataset: string, options: WindowsOptions) =>
      exitWith(await windowsCommand(io, dataset, options)),
    )

  program
    .command('dataset')
    .description('change datasets')
    .command('save')
    .description('make the definition in a file the next version of its dataset')
    .argument('<file>', 'JSON, as `aduana datasets <code> --json` prints it')
    .addOption(ifVersion())
    .addOption(json())
    .action(async (file: string, options: { json?: boolean; ifVersion?: number }) =>
      exitWith(await saveDatasetCommand(io, file, options)),
    )
}
