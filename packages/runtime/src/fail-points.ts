/**
 * Named places where a test can make the product fail as the world would: die, hang, throw.
 * Nothing happens at a point unless a test process has armed it; then the cost is one look at a map.
 */
export const FAIL_POINTS = [
  'accept.after-store',
  'accept.before-commit',
  'accept.after-commit',
  'dispatch.after-commit',
  'dispatch.after-enqueue',
  'artifact.before-rename',
  'artifact.after-rename',
  'stage.before-work',
  'stage.before-commit',
  'stage.after-commit',
  'load.before-transaction',
  'load.after-delete',
  'load.during-copy',
  'load.after-copy',
  'load.before-commit',
  'load.after-commit',
  'queue.before-acknowledge',
] as const

export type FailPoint = (typeof FAIL_POINTS)[number]
export type Fault = (detail: string) => void | Promise<void>

const armed = new Map<FailPoint, Fault>()

/** Arm a point: `fault` runs each time the code passes it, with the detail that the code gives (a stage, a name). */
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
 * Arm points from text, for test processes: `point[:detail]=action` separated by commas, where the action is `kill`
 * (SIGKILL to ourselves), `throw`, `hang`, or `exit`. Each acts once.
 * @throws Error on an unknown point or action
 */
export function armFailPointsFrom(text: string): void {
  for (const part of text.split(',').filter(Boolean)) {
    const [place = '', action = ''] = part.split('=')
    const [name = '', wanted] = place.split(':')
    const point = FAIL_POINTS.find((known) => known === name)
    if (!point) throw new Error(`unknown fail point "${name}"`)
    const act = faultOf(action)
    let done = false
    const earlier = armed.get(point)
    armFailPoint(point, async (detail) => {
      if (earlier) await earlier(detail)
      if (done || (wanted !== undefined && wanted !== detail)) return
      done = true
      await act(detail)
    })
  }
}

function faultOf(action: string): Fault {
  switch (action) {
    case 'kill':
      return () => void process.kill(process.pid, 'SIGKILL')
    case 'exit':
      return () => process.exit(1)
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
