import type { Io } from '../io.ts'
import { ASCII, BLOCKS, type ProgressFacts, renderBar, renderPlain } from './progress.ts'

const REDRAW_MS = 50
const PLAIN_MS = 2000

/** Shows progress on standard error: a line that is redrawn on a terminal, plain lines elsewhere. */
export interface Display {
  show(facts: ProgressFacts): void
  /** Ends the current line. */
  end(): void
}

/** Creates a display. `now` is in milliseconds. */
export function createDisplay(io: Io, now: () => number = Date.now): Display {
  return io.columns() === undefined ? plainDisplay(io, now) : terminalDisplay(io, now)
}

/** A display that shows nothing. */
export const QUIET: Display = { show: () => undefined, end: () => undefined }

function terminalDisplay(io: Io, now: () => number): Display {
  const style = /utf-?8/i.test(io.env.LC_ALL || io.env.LC_CTYPE || io.env.LANG || 'utf-8') ? BLOCKS : ASCII
  let drawnAt = Number.NEGATIVE_INFINITY
  let drawn = ''
  let latest: ProgressFacts | undefined
  const draw = () => {
    if (!latest) return
    const line = renderBar(latest, io.columns() ?? 80, style)
    if (line === drawn) return
    io.err(`\r${line}\u001b[K`)
    drawn = line
    drawnAt = now()
  }
  return {
    show: (facts) => {
      latest = facts
      if (now() - drawnAt >= REDRAW_MS) draw()
    },
    end: () => {
      draw()
      if (drawn) io.err('\n')
      drawn = ''
      latest = undefined
    },
  }
}

/** Writes at most one line in two seconds, and no line twice. */
function plainDisplay(io: Io, now: () => number): Display {
  let writtenAt = Number.NEGATIVE_INFINITY
  let written = ''
  return {
    show: (facts) => {
      const line = renderPlain(facts)
      if (line === written || now() - writtenAt < PLAIN_MS) return
      io.err(`${line}\n`)
      written = line
      writtenAt = now()
    },
    end: () => undefined,
  }
}
