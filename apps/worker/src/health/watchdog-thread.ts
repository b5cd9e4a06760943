import { writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { workerData } from 'node:worker_threads'
import { z } from 'zod'

const { fed, patienceSeconds, name } = z
  .object({ fed: z.instanceof(SharedArrayBuffer), patienceSeconds: z.number(), name: z.string() })
  .parse(workerData)
const count = new Int32Array(fed)
let last = Atomics.load(count, 0)
let unfed = 0

setInterval(() => {
  const now = Atomics.load(count, 0)
  unfed = now === last ? unfed + 1 : 0
  last = now
  if (unfed < patienceSeconds) return
  // The logger runs in the blocked thread.
  const entry = {
    level: 60,
    time: Date.now(),
    pid: process.pid,
    hostname: hostname(),
    name,
    event: 'worker.event_loop_blocked',
    seconds: unfed,
    msg: 'The event loop is blocked. The process is killed to be restarted',
  }
  try {
    writeSync(1, `${JSON.stringify(entry)}\n`)
  } finally {
    process.kill(process.pid, 'SIGKILL')
  }
}, 1000)
