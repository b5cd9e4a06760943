import type { Command } from 'commander'
import { type LoginOptions, loginCommand } from '../commands/login.ts'
import { logoutCommand } from '../commands/logout.ts'
import { passwordCommand } from '../commands/password.ts'
import type { Io } from '../io.ts'
import type { ExitWith } from './arguments.ts'

/** Adds the commands for login and password. */
export function addSessionCommands(program: Command, io: Io, exitWith: ExitWith): void {
  program
    .command('login')
    .description('log in and store the token')
    .argument('[email]', 'prompted for if missing')
    .option('--url <url>', 'URL of the API')
    .option('--email <email>', 'the same as the argument')
    .option('--password <password>', 'prompted for if missing; visible to other users of this machine')
    .option('--password-stdin', 'read the password from standard input')
    .action(async (email: string | undefined, options: LoginOptions) =>
      exitWith(await loginCommand(io, email, options)),
    )

  program
    .command('logout')
    .description('log out and delete the stored login')
    .action(async () => exitWith(await logoutCommand(io)))

  program
    .command('password')
    .description('change your password and end all your other sessions')
    .action(async () => exitWith(await passwordCommand(io)))
}
