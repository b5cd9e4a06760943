import { setTimeout as delay } from 'node:timers/promises'
import { warn } from './console.mjs'
import { LaunchError } from './errors.mjs'
import { describe, stopService } from './processes.mjs'

/**
 * @typedef {object} Supervised
 * @property {() => Promise<void>} stop
 * @property {Promise<LaunchError>} gaveUp resolves when it died too often
 */

/**
 * Keeps a process running: when it dies unexpectedly it is started again, each time a little later, until it has died
 * too often within a while. Every death is reported on the terminal.
 * @param {object} options
 * @param {import('./processes.mjs').Service} options.first the process, already started
 * @param {() => import('./processes.mjs').Service} options.again
 * @param {number} [options.graceMs] patience when it is stopped
 * @param {number} [options.mostDeaths]
 * @param {number} [options.withinMs]
 * @param {number} [options.firstDelayMs]
 * @param {(text: string) => void} [options.onMessage] called for each death and restart
 * @returns {Supervised}
 */
export function supervise({
  first,
  again,
  graceMs = 20_000,
  mostDeaths = 5,
  withinMs = 60_000,
  firstDelayMs = 250,
  onMessage = warn,
}) {
  const { name, logFile } = first
  const stopping = new AbortController()
  let current = first

  /** @returns {Promise<LaunchError>} */
  async function watch() {
    /** @type {number[]} */
    let deaths = []
    for (;;) {
      const ending = await current.exited
      if (stopping.signal.aborted) return new Promise(() => undefined)
      const now = Date.now()
      deaths = [...deaths.filter((time) => now - time < withinMs), now]
      const story = `${name} died (${describe(ending)}); its log: ${logFile}`
      if (deaths.length > mostDeaths) {
        return new LaunchError(
          `${story}\n${name} died ${deaths.length} times within ${withinMs / 1000} s: it is not started again.`,
        )
      }
      onMessage(`${story}\nstarting it again (${deaths.length} of ${mostDeaths}) …`)
      await delay(firstDelayMs * 2 ** (deaths.length - 1), undefined, { signal: stopping.signal }).catch(
        () => undefined,
      )
      if (stopping.signal.aborted) return new Promise(() => undefined)
      current = again()
      onMessage(`${name} was started again`)
    }
  }

  return {
    gaveUp: watch(),
    stop: async () => {
      stopping.abort()
      await stopService(current, { graceMs })
    },
  }
}
