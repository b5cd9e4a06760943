// What the kernel tells of processes (proc(5)), so Linux only.
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'

/** The processes that a process has started and that have not ended. */
export async function childrenOf(pid) {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean).map(Number)
}

/** Highest resident memory of a process in MB. */
export async function peakMegabytes(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
}

const TICK_MS = 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Milliseconds of processor time that a process has taken, in steps of the kernel's clock: mostly 10. */
export async function processorTime(pid) {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name of the command stands in brackets, and may hold anything. User and system time are the fields 14 and 15.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}
