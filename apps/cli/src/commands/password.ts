import { changePassword } from '../api/calls.ts'
import { ask } from '../ask.ts'
import { UsageError } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi, storeSession } from '../session.ts'

const OTHERWISE =
  'The passwords are required, but there is no terminal to prompt for them. Set ADUANA_PASSWORD and ADUANA_NEW_PASSWORD.'

/**
 * `aduana password`: change the password of the logged-in user. It ends all sessions of the user. The new login replaces
 * the stored one, unless the login comes from the environment.
 */
export async function passwordCommand(io: Io): Promise<ExitCode> {
  const api = await openApi(io)
  const hidden = { hidden: true, otherwise: OTHERWISE }
  const current = io.env.ADUANA_PASSWORD ?? (await ask(io, 'Current password: ', hidden))
  const next = io.env.ADUANA_NEW_PASSWORD ?? (await askTwice(io, hidden))
  const answer = await changePassword(api, current, next)
  const stored = fromEnvironment(io) ? undefined : await storeSession(io, api.url, answer)
  io.out(`changed the password of ${answer.user.email} and ended all other sessions of this user`)
  if (stored) io.out(`the new login is stored in ${stored}`)
  return EXIT.loaded
}

function fromEnvironment({ env }: Io): boolean {
  return Boolean(env.ADUANA_TOKEN || (env.ADUANA_EMAIL && env.ADUANA_PASSWORD))
}

async function askTwice(io: Io, options: { hidden: boolean; otherwise: string }): Promise<string> {
  const next = await ask(io, 'New password: ', options)
  if ((await ask(io, 'New password again: ', options)) === next) return next
  throw new UsageError('The two passwords differ. Nothing was changed. Try again.')
}
