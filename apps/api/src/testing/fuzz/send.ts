import { Agent, request } from 'node:http'
import type { FuzzRequest } from './requests.ts'

/** A response. */
export interface Answer {
  status: number
  contentType: string
  body: string
}

const RESPONSE_TIMEOUT_MS = 60_000

/** Sends requests to an API one after the other. */
export function sender(url: string): { send(request: FuzzRequest): Promise<Answer>; close(): void } {
  // A connection for each: one that is kept may be closed by the server while the next request is on its way.
  const agent = new Agent({ keepAlive: false })
  const { hostname, port } = new URL(url)
  const send = ({ method, path, headers, body }: FuzzRequest) =>
    new Promise<Answer>((resolve, reject) => {
      const length = body === undefined ? {} : { 'content-length': body.length }
      const outgoing = request({ agent, hostname, port, method, path, headers: { ...headers, ...length } })
      outgoing.setTimeout(RESPONSE_TIMEOUT_MS, () => outgoing.destroy(new Error('no answer')))
      outgoing.on('error', reject)
      outgoing.on('response', (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            contentType: incoming.headers['content-type'] ?? '',
            body: Buffer.concat(chunks).toString(),
          }),
        )
      })
      outgoing.end(body)
    })
  return { send, close: () => agent.destroy() }
}
