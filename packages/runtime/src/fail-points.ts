import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Named places where a test can make the product fail as the world would: die, hang, throw.
 * Nothing happens at a point unless a test process has armed it; then the cost is one look at a map.
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
 * Arm a point: `fault` runs each time the code passes it, with the detail that the code gives: the name of an artifact,
 * the number of an import, a stage, or a stage and the number of the import (`validate/7`).
 */
export function armFailPoint(point: FailPoint, fault: Fault): void {
  armed.set(point, fault)
}

/** Disarm every point. */
export function disarmFailPoints(): void {
  armed.clear()
}

/** Pass a named point of the code. */
export async function failPoint(point: FailPoint, detail = ''): Promise<void> {
  const fault = armed.get(point)
  if (fault) await fault(detail)
}

/**
 * Arm points from text, for test processes: `point[:detail]=action` separated by commas. A detail also stands for all
 * that begin with it and a slash: `stage.before-work:load` for every import's load. Each acts once. The actions:
 * `kill` (SIGKILL to ourselves), `stop` (SIGSTOP to ourselves; whoever sends SIGCONT lets us go on), `block-<ms>`
 * (nothing else runs in the process for so long), `exhaust` (take memory until the process dies of it), `throw`,
 * `hang`, `hold-<path>` (say so in the file `<path>.held`, and go on when
 * there is one at the path), `exit`, or the name of an errno such as `ENOSPC`, which is thrown as the system would. With a path behind it
 * (`kill?/tmp/now`) an action waits for its hour: the point does nothing while there is no such file.
 * @throws Error on an unknown point or action
 */
export function armFailPointsFrom(text: string): void {
  for (const part of text.split(',').filter(Boolean)) {
    const [place = '', what = ''] = part.split('=')
    const [action = '', hour] = what.split('?')
    const [name = '', wanted] = place.split(':')
    const point = FAIL_POINTS.find((known) => known === name)
    if (!point) throw new Error(`unknown fail point "${name}"`)
    const act = faultOf(action)
    let done = false
    const earlier = armed.get(point)
    armFailPoint(point, async (detail) => {
      if (earlier) await earlier(detail)
      if (done || (wanted !== undefined && wanted !== detail && !detail.startsWith(`${wanted}/`))) return
      if (hour !== undefined && !existsSync(hour)) return
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

/** Hold the event loop, as a long calculation would, but without taking the processor from others. */
function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

function exhaust(): never {
  const held: number[][] = []
  for (;;) held.push(new Array<number>(100_000).fill(held.length))
}
