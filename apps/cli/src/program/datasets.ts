import { type Command, Option } from 'commander'
import { datasetsCommand, saveDatasetCommand, showDatasetCommand } from '../commands/datasets.ts'
import type { Io } from '../io.ts'
import { type ExitWith, json, wholeNumber } from './arguments.ts'

/** The commands about datasets. */
export function describeDatasets(program: Command, io: Io, exitWith: ExitWith): void {
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
    .addOption(
      new Option('--if-version <n>', 'only if that is still its present version').argParser(
        wholeNumber(1, 999_999_999),
      ),
    )
    .addOption(json())
    .action(async (file: string, options: { json?: boolean; ifVersion?: number }) =>
      exitWith(await saveDatasetCommand(io, file, options)),
    )
}
