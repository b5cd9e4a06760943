import { z } from 'zod'

const Line = z.object({
  level: z.number(),
  event: z.string().optional(),
  msg: z.string().optional(),
  err: z
    .union([z.string(), z.object({ message: z.string() }).transform(({ message }) => message)])
    .optional(),
})

const LEVELS: Record<number, string> = { 40: 'warn', 50: 'error', 60: 'fatal' }

/** Counts the log lines above `info` by `<level> <event>`, with an example of an error. */
export function countWarnings(lines: Iterable<string>): Map<string, { times: number; example: string }> {
  const counts = new Map<string, { times: number; example: string }>()
  for (const line of lines) {
    const found = readLine(line)
    if (!found) continue
    const { key, example } = found
    counts.set(key, {
      times: (counts.get(key)?.times ?? 0) + 1,
      example: counts.get(key)?.example ?? example,
    })
  }
  return new Map([...counts].sort(([, one], [, other]) => other.times - one.times))
}

function readLine(line: string): { key: string; example: string } | undefined {
  if (line.trim() === '') return undefined
  const parsed = Line.safeParse(jsonOf(line))
  // Other lines are stack traces or warnings of Node.
  if (!parsed.success) return { key: 'not a log line', example: line.slice(0, 200) }
  const { level, event, msg, err } = parsed.data
  if (level < 40) return undefined
  return {
    key: `${LEVELS[level] ?? level} ${event ?? '(no event)'}`,
    example: (err ?? msg ?? line).slice(0, 200),
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Returns the deadlocks in PostgreSQL's log, each with its statements. */
export function deadlocksOf(log: string): string[] {
  const entries = log.split(/\n(?=\d{4}-\d\d-\d\d )/)
  return entries.flatMap((entry, index) =>
    entry.includes('deadlock detected')
      ? [
          entries
            .slice(index, index + 4)
            .join('\n')
            .slice(0, 3000),
        ]
      : [],
  )
}
