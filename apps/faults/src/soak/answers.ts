import { z } from 'zod'

/** How often each request got each answer. */
export interface Answers {
  /** Count an answer; a problem by its code. */
  note(what: string, response: Response | undefined): Promise<unknown>
  /** `<what> <status> <code>` and how often. */
  counts(): Record<string, number>
  /** Answers that are server errors, with their requests. */
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
      // 503 without PostgreSQL and 507 without room on the disk are correct answers.
      if (response !== undefined && response.status >= 500 && ![503, 507].includes(response.status))
        faults.push(`${key}: ${JSON.stringify(body)?.slice(0, 500)}`)
      return response?.ok === true ? body : undefined
    },
    counts: () => counts,
    faults: () => faults,
  }
}

/** Returns the body of an answer; undefined when there is none or it was cut off. */
async function bodyOf(response: Response | undefined): Promise<unknown> {
  try {
    return await response?.json()
  } catch {
    return undefined
  }
}
