import { createServer } from 'node:http'
import type { ConsumingState } from './consuming.ts'

/**
 * Serves /health/live and /health/ready on a port of all addresses, with status 200 when true and 503 when not. `live` is
 * true until this worker has been found to have stopped taking jobs, `ready` while its heartbeats are recent.
 */
export async function listenHealth(
  port: number,
  state: () => ConsumingState,
): Promise<{ close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const { live, ready } = state()
    const known = { '/health/live': live, '/health/ready': ready }
    const ok = Object.entries(known).find(([path]) => path === request.url)?.[1]
    const status = ok === undefined ? 404 : ok ? 200 : 503
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ live, ready }))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, () => resolve())
  })
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
