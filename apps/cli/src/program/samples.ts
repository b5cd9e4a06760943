import { type Command, Option } from 'commander'
import { demoCommand } from '../commands/demo.ts'
import { type SampleCommandOptions, sampleCommand } from '../commands/sample.ts'
import { type TestdataOptions, testdataCommand } from '../commands/testdata.ts'
import type { Io } from '../io.ts'
import { SAMPLES } from '../sample/sample.ts'
import { day, type ExitWith, wholeNumber } from './arguments.ts'

const MAX_ROWS = 100_000_000

/** The commands that make records to try Aduana with. */
export function addSampleCommands(program: Command, io: Io, exitWith: ExitWith): void {
  program
    .command('sample')
    .description('write a file with realistic records and known faults')
    .option('--rows <number>', 'records', wholeNumber(1, MAX_ROWS), 120_000)
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
    .option('--rows <number>', 'records', wholeNumber(1, MAX_ROWS), 120_000)
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
    .option('--rows <number>', 'records in each', wholeNumber(1, MAX_ROWS), 20_000)
    .option(
      '--events <number>',
      'then tell so many times that a dataset has changed',
      wholeNumber(0, 1_000_000),
      0,
    )
    .action(async (options: TestdataOptions) => exitWith(await testdataCommand(io, options)))
}
