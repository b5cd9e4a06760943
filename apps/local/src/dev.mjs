import { join } from 'node:path'
import { PROGRAMS } from './application.mjs'
import { freePort } from './ports.mjs'
import { runProgram } from './processes.mjs'
import { say } from './say.mjs'
import { toolEnvironment } from './settings.mjs'
import { forgetState, writeState } from './state.mjs'
import { prepare } from './system.mjs'

/**
 * `npm run dev`: builds on every change and restarts the API and one worker with it; their output is on the terminal.
 * @type {import('./commands.mjs').Command}
 */
export async function dev({ settings, life }) {
  const { env, databaseUrl, redisUrl, adminPassword } = await prepare(settings, life)
  const { root } = settings
  const port = await freePort(settings.port, settings.host)
  const login = {
    url: `http://${settings.host}:${port}`,
    email: settings.adminEmail,
    password: adminPassword,
  }
  writeState(settings.dataDir, { ...login, databaseUrl, redisUrl })
  life.own('the state file', () => forgetState(settings.dataDir))
  say(`API ${login.url}/docs  login ${login.email} ${login.password}  (Ctrl-C stops)`)
  /** @type {{ name: string, command: string[], env: NodeJS.ProcessEnv }[]} */
  const programs = [
    {
      name: 'tsc',
      command: ['tsc', '-b', '--watch', '--preserveWatchOutput'],
      env: toolEnvironment(settings),
    },
    { name: 'api', command: watched(root, PROGRAMS.api), env: { ...env, PORT: String(port) } },
    { name: 'worker', command: watched(root, PROGRAMS.worker), env },
  ]
  const ended = programs.map(async ({ name, ...program }) => {
    await runProgram({ ...program, cwd: root, signal: life.signal })
    say(`${name} has ended`)
  })
  await Promise.allSettled(ended)
  return 0
}

/**
 * @param {string} root
 * @param {string} program
 */
function watched(root, program) {
  return [process.execPath, '--watch', '--watch-preserve-output', join(root, program)]
}
