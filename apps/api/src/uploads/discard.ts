import type { IncomingMessage } from 'node:http'

const MAX_BYTES = 64 * 1024 ** 2
const TIMEOUT_MS = 10_000

/**
 * Discards the rest of a refused request, so that its client can read the response. Closes the connection after 64 MiB or
 * 10 seconds.
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
