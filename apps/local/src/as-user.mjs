import { spawnSync } from 'node:child_process'
import { chownSync, statSync } from 'node:fs'
import { LaunchError } from './errors.mjs'

/**
 * How to run a program that refuses to be root.
 * @typedef {object} Runner
 * @property {string} name
 * @property {number} uid owner that the program's files need; -1: leave them as they are
 * @property {string[]} wrap precedes the command
 */

const NOBODY = 65_534
const AS_NOBODY = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']

/** @type {Runner} */
const AS_CURRENT_USER = { name: 'this user', uid: -1, wrap: [] }

// The first works if other users may enter the folders. The second works in a 0700 home, but neither in a chroot nor under
// Docker's seccomp profile. The third works there too, if root may pass on CAP_DAC_OVERRIDE. Without the securebit,
// access(2) would drop that capability.
/** @type {Runner[]} */
const AS_OTHER_USER = [
  { name: 'the user nobody', uid: NOBODY, wrap: ['setpriv', ...AS_NOBODY, '--'] },
  {
    name: 'a user namespace',
    uid: 0,
    wrap: ['unshare', '--user', '--map-user=1000', '--map-group=1000', '--'],
  },
  {
    name: 'the user nobody with CAP_DAC_OVERRIDE',
    uid: NOBODY,
    wrap: [
      'setpriv',
      '--securebits=+no_setuid_fixup',
      ...AS_NOBODY,
      '--inh-caps=+dac_override',
      '--ambient-caps=+dac_override',
      '--',
    ],
  },
]

/**
 * Finds a way to run a program that refuses to be root. The folder itself, not yet what is in it, is given to the user
 * it will run as.
 * @param {string} program must start with --version
 * @param {string} folder must be writable for it
 * @param {Runner[]} [ways] tried in this order
 * @returns {Runner}
 */
export function chooseRunner(program, folder, ways = AS_OTHER_USER) {
  if (process.getuid?.() !== 0) return AS_CURRENT_USER
  const tried = []
  for (const way of ways) {
    chownSync(folder, way.uid, way.uid)
    const script = '"$1" --version >/dev/null && test -w "$2" && test -x "$2"'
    const [command = '', ...args] = [...way.wrap, 'sh', '-c', script, 'probe', program, folder]
    const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' })
    if (status === 0) return way
    tried.push(
      `  as ${way.name}: ${(error?.message ?? stderr.trim().split('\n')[0]) || 'it cannot access the folders'}`,
    )
  }
  throw new LaunchError(
    `PostgreSQL refuses to run as root, and no other way worked:\n${tried.join('\n')}\n` +
      'Move the checkout to a folder that other users may enter, run as an ordinary user, or set DATABASE_URL.',
  )
}

/**
 * Makes the runner's user the owner of a folder and all in it, if it is not yet.
 * @param {Runner} runner
 * @param {string} folder
 */
export function chownTo({ uid }, folder) {
  if (uid === -1 || statSync(folder).uid === uid) return
  const { status, stderr } = spawnSync('chown', ['-R', `${uid}:${uid}`, '--', folder], { encoding: 'utf8' })
  if (status !== 0) throw new LaunchError(`could not give ${folder} to user ${uid}: ${stderr}`)
}
