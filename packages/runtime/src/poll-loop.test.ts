import { expect, test } from 'vitest'
import { startPollLoop } from './poll-loop.ts'

const HOUR_MS = 3_600_000

/** A loop whose polls end when the test says so. */
function startManual({ intervalMs = HOUR_MS, atStart = true } = {}) {
  const errors: unknown[] = []
  const waiting: ((poll: Poll) => void)[] = []
  const polls: Poll[] = []
  const pollLoop = startPollLoop({
    intervalMs,
    atStart,
    poll: (stopping) =>
      new Promise<void>((resolve, reject) => {
        const poll = { end: resolve, fail: reject, stopping }
        const next = waiting.shift()
        if (next) next(poll)
        else polls.push(poll)
      }),
    onError: (error) => errors.push(error),
  })
  /** Returns the next poll once it has started. */
  const started = async (): Promise<Poll> =>
    polls.shift() ?? new Promise<Poll>((resolve) => waiting.push(resolve))
  return { pollLoop, started, errors, pending: () => polls.length }
}

interface Poll {
  end: () => void
  fail: (error: unknown) => void
  stopping: () => boolean
}

test('a loop polls at once, again when it is woken, and again after the interval', async () => {
  const slow = startManual()
  ;(await slow.started()).end()
  slow.pollLoop.wake()
  ;(await slow.started()).end()
  await slow.pollLoop.stop()

  const fast = startManual({ intervalMs: 1 })
  for (let polls = 0; polls < 3; polls += 1) (await fast.started()).end()
  await fast.pollLoop.stop()
})

test('a loop that does not poll at its start polls when it is woken, and after the interval', async () => {
  const slow = startManual({ atStart: false })
  expect(slow.pending()).toBe(0)
  slow.pollLoop.wake()
  ;(await slow.started()).end()
  await slow.pollLoop.stop()

  const fast = startManual({ intervalMs: 1, atStart: false })
  ;(await fast.started()).end()
  await fast.pollLoop.stop()
})

test('a loop that is woken during a poll polls again as soon as it ends', async () => {
  const { pollLoop, started, pending } = startManual()
  const first = await started()
  pollLoop.wake()
  pollLoop.wake()
  expect(pending()).toBe(0)
  first.end()
  ;(await started()).end()
  await pollLoop.stop()
  expect(pending()).toBe(0)
})

test('an error of a poll is reported and does not end the loop', async () => {
  const { pollLoop, started, errors } = startManual()
  const first = await started()
  first.fail(new Error('no'))
  pollLoop.wake()
  ;(await started()).end()
  await pollLoop.stop()
  expect(errors).toEqual([new Error('no')])
})

test('a stop waits for the current poll, which can see it, and no poll follows', async () => {
  const { pollLoop, started, pending } = startManual({ intervalMs: 1 })
  const poll = await started()
  let stopped = false
  const stopping = pollLoop.stop().then(() => {
    stopped = true
  })
  pollLoop.wake()
  expect(poll.stopping()).toBe(true)
  await Promise.resolve()
  expect(stopped).toBe(false)
  poll.end()
  await stopping
  expect(pending()).toBe(0)
})
