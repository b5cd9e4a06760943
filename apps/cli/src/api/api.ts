import { problemText, readInput } from '@aduana/contracts/input-problems'
import { Problem } from '@aduana/contracts/problems'
import type { z } from 'zod'
import { ApiProblem, ConnectionError } from '../errors.ts'

const RESPONSE_TIMEOUT_MS = 60_000

/** An API and the login to use for it. */
export interface Api {
  /** Base URL without a trailing slash. */
  url: string
  token: string | undefined
  signal: AbortSignal
}

/** Sends a GET request and returns the parsed response. @throws ApiProblem, ConnectionError */
export function get<T extends z.ZodType>(api: Api, path: string, schema: T): Promise<z.output<T>> {
  return request(api, 'GET', path, schema)
}

/** Sends a POST request with a JSON body and returns the parsed response. @throws ApiProblem, ConnectionError */
export function post<T extends z.ZodType>(
  api: Api,
  path: string,
  schema: T,
  body?: unknown,
): Promise<z.output<T>> {
  return request(api, 'POST', path, schema, body)
}

/** Sends a PUT request with a JSON body and returns the parsed response. @throws ApiProblem, ConnectionError */
export function put<T extends z.ZodType>(
  api: Api,
  path: string,
  schema: T,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<z.output<T>> {
  return request(api, 'PUT', path, schema, body, headers)
}

/** Returns the headers that authenticate the user. */
export function authorization(api: Api): Record<string, string> {
  return api.token === undefined ? {} : { authorization: `Bearer ${api.token}` }
}

async function request<T extends z.ZodType>(
  api: Api,
  method: string,
  path: string,
  schema: T,
  body?: unknown,
  more: Record<string, string> = {},
): Promise<z.output<T>> {
  const headers = { accept: 'application/json', ...authorization(api), ...more }
  const sent = body === undefined ? { headers } : jsonBody(headers, body)
  const signal = AbortSignal.any([api.signal, AbortSignal.timeout(RESPONSE_TIMEOUT_MS)])
  try {
    const answer = await fetch(`${api.url}${path}`, { method, signal, ...sent })
    return parseResponse(api, schema, answer.status, await answer.text(), answer.headers.get('retry-after'))
  } catch (error) {
    throw connectionProblem(api, error)
  }
}

function jsonBody(headers: Record<string, string>, body: unknown) {
  return { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** Parses a response. @throws ApiProblem for an error response, or one that does not match the schema */
export function parseResponse<T extends z.ZodType>(
  api: Api,
  schema: T,
  status: number,
  text: string,
  retryAfter: string | null,
): z.output<T> {
  const body = parseJson(text)
  if (status >= 400) throw new ApiProblem(problemOf(status, body, text), secondsOf(retryAfter))
  const read = readInput(schema, body)
  if (!read.problems) return read.data
  throw new ApiProblem(
    {
      type: 'about:blank',
      title: 'Unexpected response',
      status,
      detail: `${api.url} is not Aduana, or is another version of Aduana. ${problemText(read.problems, 'The response', 3)} Check the URL and the versions.`,
      code: 'unexpected_answer',
    },
    undefined,
  )
}

function problemOf(status: number, body: unknown, text: string): Problem {
  const parsed = Problem.safeParse(body)
  if (parsed.success) return parsed.data
  const detail = text.replace(/\s+/g, ' ').trim().slice(0, 300) || 'The response has no text.'
  return { type: 'about:blank', title: `HTTP status ${status}`, status, detail, code: `http_${status}` }
}

/** Turns what `fetch` or a request threw into an error with the URL. Errors of this program are returned unchanged. */
export function connectionProblem(api: Api, error: unknown): unknown {
  if (error instanceof ApiProblem || error instanceof ConnectionError) return error
  if (api.signal.aborted) return api.signal.reason
  if (error instanceof Error && error.name === 'TimeoutError')
    return new ConnectionError(
      `${api.url} did not respond within ${RESPONSE_TIMEOUT_MS / 1000} seconds. Check that Aduana is running, and try again.`,
    )
  return new ConnectionError(`${api.url} cannot be reached: ${causeOf(error)}`)
}

/** Returns the innermost message: that of `fetch` is always "fetch failed". */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof AggregateError && error.errors.length > 0) return causeOf(error.errors[0])
  return error.cause === undefined ? error.message || error.name : causeOf(error.cause)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: the schema of the caller reports it.
    return undefined
  }
}

function secondsOf(retryAfter: string | null): number | undefined {
  const seconds = Number(retryAfter)
  return retryAfter !== null && Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined
}
