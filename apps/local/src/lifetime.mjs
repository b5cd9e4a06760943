import { readFileSync } from 'node:fs'
import { warn } from './console.mjs'
import { Interrupted, systemCode } from './errors.mjs'
import { killAll } from './processes.mjs'

/**
 * @typedef {object} Lifetime
 * @property {AbortSignal} signal aborted when the launcher is stopped
 * @property {() => string} reason why it was stopped
 * @property {() => void} check throws Interrupted once it was stopped
 * @property {Promise<void>} stopRequested resolves when it is stopped
 * @property {(name: string, stop: () => unknown) => void} own registers how to release something
 * @property {() => Promise<boolean>} end releases everything, last acquired first; false if a release failed
 */

/**
 * Watches for Ctrl-C, SIGTERM, SIGHUP and the end of the parent process, and keeps the list of what must be released.
 * A second signal kills every child at once.
 * @returns {Lifetime}
 */
export function openLifetime() {
  const controller = new AbortController()
  let why = ''
  /** @type {{ name: string, stop: () => unknown }[]} */
  const owned = []
  /** @param {string} reason */
  const requestStop = (reason) => {
    if (!controller.signal.aborted) {
      why = reason
      controller.abort(new Interrupted())
    } else if (reason !== PARENT_GONE) {
      warn(`${reason} again: killing everything`)
      killAll()
      process.exit(130)
    }
  }
  for (const [signal, reason] of /** @type {const} */ ([
    ['SIGINT', 'Ctrl-C'],
    ['SIGTERM', 'SIGTERM'],
    ['SIGHUP', 'SIGHUP'],
  ])) {
    process.on(signal, () => requestStop(reason))
  }
  const parentWatch = watchParent(() => requestStop(PARENT_GONE))

  return {
    signal: controller.signal,
    reason: () => why,
    check: () => controller.signal.throwIfAborted(),
    stopRequested: new Promise((resolve) => {
      controller.signal.addEventListener('abort', () => resolve(), { once: true })
    }),
    own: (name, stop) => owned.push({ name, stop }),
    end: async () => {
      let clean = true
      for (let last = owned.pop(); last !== undefined; last = owned.pop()) {
        try {
          await last.stop()
        } catch (error) {
          clean = false
          warn(`cannot stop ${last.name}: ${error instanceof Error ? error.message : error}`)
        }
      }
      clearInterval(parentWatch)
      return clean
    },
  }
}

const PARENT_GONE = 'the process that started the launcher has ended'

/**
 * npm does not forward SIGTERM to its script, so the launcher checks whether npm is still running. Without npm, it may
 * outlive its shell.
 * @param {() => void} onGone
 * @returns {NodeJS.Timeout | undefined}
 */
function watchParent(onGone) {
  if (process.env.npm_lifecycle_event === undefined) return undefined
  const ancestors = () => `${process.ppid}/${parentOf(process.ppid)}`
  const first = ancestors()
  const watch = setInterval(() => {
    if (ancestors() === first) return
    clearInterval(watch)
    onGone()
  }, 250)
  watch.unref()
  return watch
}

/**
 * @param {number} pid
 * @returns {string} the parent of a process that may be the `sh -c` between npm and us; empty where /proc is absent
 */
function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const isShell = /\((?:ba|da)?sh\)/.test(stat)
    return isShell ? (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? '') : ''
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return ''
  }
}
