import { join } from 'node:path'
import { PROGRAMS } from './application.mjs'
import { freePort } from './ports.mjs'
import { runProgram } from './processes.mjs'
import { say } from './say.mjs'
import { toolEnvironment } from './settings.mjs'
import { prepare } from './system.mjs'

/**
 * `npm run dev`: builds on every change and restarts the API and one worker with it; their output is on the terminal.
 * @type {import('./commands.mjs').Command}
 */
export async function dev({ settings, life }) {
  const { env, adminPassword } = await prepare(settings, life)
  const { root } = settings
  const port = await freePort(settings.port, settings.host)
  say(
    `API http://${settings.host}:${port}/docs  login ${settings.adminEmail} ${adminPassword}  (Ctrl-C stops)`,
  )
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
