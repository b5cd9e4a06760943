import type { IncomingMessage } from 'node:http'

const MAX_BYTES = 64 * 1024 ** 2
const TIMEOUT_MS = 10_000

/**
 * Read away what is left of a request that has been refused, so that its sender gets to read the answer. Not for ever:
 * after some megabytes or seconds the connection is cut.
 */
export function discardRest(request: IncomingMessage): void {
  if (request.readableEnded || request.destroyed) return
  let bytes = 0
  const timer = setTimeout(() => request.destroy(), TIMEOUT_MS)
  timer.unref()
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_BYTES) request.destroy()
  })
  request.on('close', () => clearTimeout(timer))
  request.resume()
}
