import { type Command, Option } from 'commander'
import { demoCommand } from '../commands/demo.ts'
import { type SampleCommandOptions, sampleCommand } from '../commands/sample.ts'
import { type TestdataOptions, testdataCommand } from '../commands/testdata.ts'
import type { Io } from '../io.ts'
import { SAMPLES } from '../sample/sample.ts'
import { day, type ExitWith, wholeNumber } from './arguments.ts'

const MAX_ROWS = 100_000_000

/** Adds the commands that create sample data. */
export function addSampleCommands(program: Command, io: Io, exitWith: ExitWith): void {
  program
    .command('sample')
    .description('write a file with realistic records and known errors')
    .option('--rows <number>', 'number of records', wholeNumber(1, MAX_ROWS), 120_000)
    .requiredOption('-o, --out <file>')
    .option(
      '--seed <number>',
      'the same seed makes the same file',
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
      1,
    )
    .addOption(new Option('-d, --dataset <dataset>').choices(Object.keys(SAMPLES)).default('production'))
    .option('--clean', 'only good records, without duplicates')
    .option('--from <day>', 'first day (default: two months that depend on the seed)', day)
    .option('--to <day>', 'the first day after the period', day)
    .option('--report <file>', 'write a JSON report of the content to this file')
    .action(async (options: SampleCommandOptions) => exitWith(await sampleCommand(io, options)))

  program
    .command('demo')
    .description('import a sample and compare the result with its content')
    .option('--rows <number>', 'number of records', wholeNumber(1, MAX_ROWS), 120_000)
    .action(async (options: { rows: number }) => exitWith(await demoCommand(io, options)))

  program
    .command('testdata')
    .description(
      'fill a test system: import files of production and orders with known errors, and compute their metrics',
    )
    .option(
      '--files <number>',
      'number of files of each dataset; each covers two other months',
      wholeNumber(0, 100),
      2,
    )
    .option('--rows <number>', 'number of records in each file', wholeNumber(1, MAX_ROWS), 20_000)
    .option('--events <number>', 'then send this many dataset updates', wholeNumber(0, 1_000_000), 0)
    .action(async (options: TestdataOptions) => exitWith(await testdataCommand(io, options)))
}
