import type { Command } from 'commander'
import { type LoginOptions, loginCommand } from '../commands/login.ts'
import { logoutCommand } from '../commands/logout.ts'
import { passwordCommand } from '../commands/password.ts'
import type { Io } from '../io.ts'
import type { ExitWith } from './arguments.ts'

/** The commands about who works with the program. */
export function addSessionCommands(program: Command, io: Io, exitWith: ExitWith): void {
  program
    .command('login')
    .description('log in and store the token for the commands that follow')
    .argument('[email]', 'asked for if not given')
    .option('--url <url>', 'where the API is')
    .option('--email <email>', 'the same as the argument')
    .option('--password <password>', 'asked for if not given; other users of this machine can see it here')
    .option('--password-stdin', 'read the password from standard input')
    .action(async (email: string | undefined, options: LoginOptions) =>
      exitWith(await loginCommand(io, email, options)),
    )

  program
    .command('logout')
    .description('end the stored login and forget it')
    .action(async () => exitWith(await logoutCommand(io)))

  program
    .command('password')
    .description('change your password and end all your other sessions')
    .action(async () => exitWith(await passwordCommand(io)))
}
