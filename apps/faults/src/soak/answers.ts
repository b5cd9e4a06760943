import { z } from 'zod'

/** How often each thing was asked for, with each answer. */
export interface Answers {
  /** Count an answer; of a problem, by its code. */
  note(what: string, response: Response | undefined): Promise<unknown>
  /** `<what> <status> <code>` and how often. */
  counts(): Record<string, number>
  /** Answers that are a fault of the server, with what was asked for. */
  faults(): readonly string[]
}

const Problem = z.object({ code: z.string() })

/** Nothing asked yet. */
export function createAnswers(): Answers {
  const counts: Record<string, number> = {}
  const faults: string[] = []
  return {
    note: async (what, response) => {
      const body = await bodyOf(response)
      const code = Problem.safeParse(body).data?.code
      const key = [what, response?.status ?? 'no answer', code].filter((part) => part !== undefined).join(' ')
      counts[key] = (counts[key] ?? 0) + 1
      // Without PostgreSQL, or without room on its disk, the API says that it cannot now: that is an answer.
      if (response !== undefined && response.status >= 500 && ![503, 507].includes(response.status))
        faults.push(`${key}: ${JSON.stringify(body)?.slice(0, 500)}`)
      return response?.ok === true ? body : undefined
    },
    counts: () => counts,
    faults: () => faults,
  }
}

/** The body of an answer; undefined when it is none, or was cut off. */
async function bodyOf(response: Response | undefined): Promise<unknown> {
  try {
    return await response?.json()
  } catch {
    return undefined
  }
}
