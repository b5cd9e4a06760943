import { z } from 'zod'

/** Counts the responses to each request. */
export interface Responses {
  /** Counts a response; a problem by its code. Returns the body of a successful response. */
  record(request: string, response: Response | undefined): Promise<unknown>
  /** Returns the number of responses by `<request> <status> <code>`. */
  counts(): Record<string, number>
  /** Returns the server errors, with their requests. */
  faults(): readonly string[]
}

const Problem = z.object({ code: z.string() })

/** Returns empty counts. */
export function createResponses(): Responses {
  const counts: Record<string, number> = {}
  const faults: string[] = []
  return {
    record: async (request, response) => {
      const body = await bodyOf(response)
      const code = Problem.safeParse(body).data?.code
      const key = [request, response?.status ?? 'no response', code]
        .filter((part) => part !== undefined)
        .join(' ')
      counts[key] = (counts[key] ?? 0) + 1
      // 503 without PostgreSQL and 507 without room on the disk are correct responses.
      if (response !== undefined && response.status >= 500 && ![503, 507].includes(response.status))
        faults.push(`${key}: ${JSON.stringify(body)?.slice(0, 500)}`)
      return response?.ok === true ? body : undefined
    },
    counts: () => counts,
    faults: () => faults,
  }
}

/** Returns the body of a response; undefined when there is none or it was cut off. */
async function bodyOf(response: Response | undefined): Promise<unknown> {
  try {
    return await response?.json()
  } catch {
    return undefined
  }
}
