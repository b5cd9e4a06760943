import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Named places where a test can inject a failure: die, hang, throw. A point that is not armed does nothing and costs one
 * map look-up.
 */
export const FAIL_POINTS = [
  'accept.after-store',
  'accept.before-commit',
  'accept.after-commit',
  'dispatch.after-wake',
  'dispatch.before-commit',
  'dispatch.after-commit',
  'dispatch.after-enqueue',
  'artifact.before-rename',
  'artifact.after-rename',
  'stage.before-work',
  'stage.before-commit',
  'stage.after-commit',
  'stage.before-fail',
  'stage.after-fail',
  'stage.before-cancel',
  'quarantine.after-copy',
  'load.after-claim',
  'load.after-park',
  'load.after-members',
  'load.after-fill',
  'load.before-transaction',
  'load.after-delete',
  'load.during-copy',
  'load.after-copy',
  'load.before-commit',
  'load.after-commit',
  'load.before-image',
  'load.after-image',
  'undo.before-transaction',
  'undo.after-delete',
  'undo.before-commit',
  'undo.after-commit',
  'preview.before-commit',
  'preview.after-commit',
  'approve.before-commit',
  'approve.after-commit',
  'queue.before-acknowledge',
  'retention.after-commit',
  'queue.after-acknowledge',
  'outbox.after-send',
  'inbox.before-commit',
  'inbox.after-commit',
  'metrics.after-claim',
  'metrics.before-commit',
  'metrics.after-commit',
  'metrics.before-requeue',
  'metrics.after-time-out',
  'metrics.after-expire',
  'projection.before-commit',
  'projection.after-commit',
] as const

export type FailPoint = (typeof FAIL_POINTS)[number]
export type Fault = (detail: string) => void | Promise<void>

const armed = new Map<FailPoint, Fault>()

/**
 * Arms a point: `fault` runs each time the code passes it, with the detail of the call: the name of an artifact, the number
 * of an import, a stage, or a stage and the number of an import (`validate/7`).
 */
export function armFailPoint(point: FailPoint, fault: Fault): void {
  armed.set(point, fault)
}

/** Disarms every point. */
export function disarmFailPoints(): void {
  armed.clear()
}

/** Passes a point: runs its fault if it is armed. */
export async function failPoint(point: FailPoint, detail = ''): Promise<void> {
  const fault = armed.get(point)
  if (fault) await fault(detail)
}

/**
 * Arms points from text, for test processes: `point[:detail]=action`, separated by commas. A detail also matches details
 * that start with it and a slash: `stage.before-work:load` matches the load of every import. Each action runs once:
 * `kill` (SIGKILL to this process), `stop` (SIGSTOP to this process, until a SIGCONT), `block-<ms>` (block the event loop),
 * `exhaust` (allocate memory until the process dies), `throw`, `hang`, `hold-<path>` (create the file `<path>.held`, and
 * continue when a file exists at the path), `exit`, or an errno such as `ENOSPC`, which is thrown as a system error. With a
 * path (`kill?/tmp/now`) the action is skipped while no file exists at the path.
 * @throws Error on an unknown point or action
 */
export function armFailPointsFrom(text: string): void {
  for (const part of text.split(',').filter(Boolean)) {
    const [place = '', what = ''] = part.split('=')
    const [action = '', trigger] = what.split('?')
    const [name = '', wanted] = place.split(':')
    const point = FAIL_POINTS.find((known) => known === name)
    if (!point) throw new Error(`unknown fail point "${name}"`)
    const act = faultOf(action)
    let done = false
    const earlier = armed.get(point)
    armFailPoint(point, async (detail) => {
      if (earlier) await earlier(detail)
      if (done || (wanted !== undefined && wanted !== detail && !detail.startsWith(`${wanted}/`))) return
      if (trigger !== undefined && !existsSync(trigger)) return
      done = true
      await act(detail)
    })
  }
}

function faultOf(action: string): Fault {
  const [, milliseconds] = /^block-(\d+)$/.exec(action) ?? []
  if (milliseconds !== undefined) return () => block(Number(milliseconds))
  const [, path] = /^hold-(.+)$/.exec(action) ?? []
  if (path !== undefined) return () => holdUntil(path)
  if (/^E[A-Z]+$/.test(action))
    return () => {
      throw Object.assign(new Error(`${action}: fail point`), { code: action })
    }
  switch (action) {
    case 'kill':
      return () => void process.kill(process.pid, 'SIGKILL')
    case 'stop':
      return () => void process.kill(process.pid, 'SIGSTOP')
    case 'exit':
      return () => process.exit(1)
    case 'exhaust':
      return exhaust
    case 'throw':
      return (detail) => {
        throw new Error(`fail point${detail ? ` (${detail})` : ''}`)
      }
    case 'hang':
      return () => new Promise(() => undefined)
    default:
      throw new Error(`unknown action "${action}" of a fail point`)
  }
}

async function holdUntil(path: string): Promise<void> {
  writeFileSync(`${path}.held`, '')
  while (!existsSync(path)) await delay(20)
}

/** Blocks the event loop as a long computation would, but without using the processor. */
function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

function exhaust(): never {
  const held: number[][] = []
  for (;;) held.push(new Array<number>(100_000).fill(held.length))
}
