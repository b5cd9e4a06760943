import { logout } from '../api/calls.ts'
import { ApiProblem } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { forgetSession, storedApi } from '../session.ts'

/** `aduana logout`: ends the session of the stored login and deletes it. */
export async function logoutCommand(io: Io): Promise<ExitCode> {
  const stored = await storedApi(io)
  if (!stored) {
    io.out('You are not logged in.')
    return EXIT.loaded
  }
  await logout(stored.api).catch((error: unknown) => {
    // The session has ended already.
    if (!(error instanceof ApiProblem && error.problem.status === 401)) throw error
  })
  await forgetSession(io)
  io.out(`logged out ${stored.email} at ${stored.api.url}`)
  return EXIT.loaded
}
