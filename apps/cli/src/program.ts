import { Command, CommanderError } from 'commander'
import { ApiProblem, describeError, outcomeOfError } from './errors.ts'
import { EXIT, exitCodeHelp } from './exit-codes.ts'
import { Interrupted, type Io } from './io.ts'
import type { ExitWith } from './program/arguments.ts'
import { addDatasetCommands } from './program/datasets.ts'
import { addImportCommands } from './program/imports.ts'
import { addMetricCommands } from './program/metrics.ts'
import { addSampleCommands } from './program/samples.ts'
import { addSessionCommands } from './program/sessions.ts'
import { programVersion } from './version.ts'

const ENVIRONMENT = `Environment:
  ADUANA_URL                       URL of the API (http://127.0.0.1:3000)
  ADUANA_TOKEN                     a token to use instead of the stored login
  ADUANA_EMAIL, ADUANA_PASSWORD    a login to use instead of the stored one
  ADUANA_NEW_PASSWORD              the new password for aduana password, if there is no terminal
  XDG_CONFIG_HOME                  folder of the stored login (~/.config)`

/** Runs the program with the arguments after its name. Resolves with the exit code; never rejects. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let code: number = EXIT.loaded
  const program = createProgram(io, (exitCode) => {
    code = exitCode
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    return exitCodeFor(error, io, args.includes('--json'))
  }
}

function exitCodeFor(error: unknown, io: Io, json: boolean): number {
  // Commander has already printed its message or the help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.loaded : EXIT.error
  if (error instanceof Interrupted) return error.exitCode
  const outcome = outcomeOfError(error)
  if (json && error instanceof ApiProblem)
    io.out(JSON.stringify({ outcome, exitCode: EXIT[outcome], problem: error.problem }))
  io.err(`aduana: ${describeError(error).replaceAll('\n', '\n        ')}\n`)
  return EXIT[outcome]
}

function createProgram(io: Io, exitWith: ExitWith): Command {
  const program = new Command('aduana')
    .description('Imports files into Aduana and shows the results.')
    .version(programVersion(), '-V, --version', 'print the version of this program')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: (text) => io.err(text) })
    .addHelpText('after', `\n${exitCodeHelp()}\n\n${ENVIRONMENT}`)

  addSessionCommands(program, io, exitWith)
  addImportCommands(program, io, exitWith)
  addDatasetCommands(program, io, exitWith)
  addMetricCommands(program, io, exitWith)
  addSampleCommands(program, io, exitWith)
  return program
}
