import { EventEmitter, once } from 'node:events'
import { watch } from 'node:fs'
import { join } from 'node:path'
import { PROGRAMS } from './application.mjs'
import { sourceFolders } from './checkout.mjs'
import { info } from './console.mjs'
import { freePort } from './ports.mjs'
import { runProgram } from './processes.mjs'
import { toolEnvironment } from './settings.mjs'
import { forgetState, writeState } from './state.mjs'
import { prepare } from './system.mjs'

/** The modules that `tsc` writes on every change; the bundle is made of them by a build. */
const WORKER = 'apps/worker/dist/main.js'

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
  info(`API ${login.url}/docs  login ${login.email} ${login.password}  (Ctrl-C stops)`)
  /** @type {{ name: string, command: string[], env: NodeJS.ProcessEnv }[]} */
  const programs = [
    { name: 'api', command: watched(root, PROGRAMS.api), env: { ...env, PORT: String(port) } },
    { name: 'worker', command: watched(root, WORKER), env },
  ]
  const ended = programs.map(async ({ name, ...program }) => {
    await runProgram({ ...program, cwd: root, signal: life.signal })
    info(`${name} has ended`)
  })
  await Promise.allSettled([...ended, buildOnChange(settings, life.signal)])
  return 0
}

/**
 * @param {string} root
 * @param {string} program
 */
function watched(root, program) {
  return [process.execPath, '--watch', '--watch-preserve-output', join(root, program)]
}

/**
 * Builds whenever a source has changed, until the launcher stops; what is wrong is on the terminal. The watch of
 * TypeScript 7.0 notices no change on Linux.
 * @param {import('./settings.mjs').Settings} settings
 * @param {AbortSignal} signal
 */
async function buildOnChange(settings, signal) {
  const { root } = settings
  const changes = new EventEmitter()
  let changed = false
  const watches = sourceFolders(root).map((folder) =>
    watch(join(root, folder), { recursive: true }, () => {
      changed = true
      changes.emit('change')
    }),
  )
  const stopWatching = () => {
    for (const each of watches) each.close()
  }
  signal.addEventListener('abort', stopWatching, { once: true })
  for (;;) {
    if (!changed) await once(changes, 'change', { signal })
    changed = false
    const ending = await runProgram({
      command: ['tsc', '-b'],
      env: toolEnvironment(settings),
      cwd: root,
      signal,
    })
    info(ending.code === 0 ? 'built' : 'the build failed')
  }
}
