import type { FastifyInstance } from 'fastify'

const GRACE_MS = 1000

/** Closes all WebSockets when the API stops. Clients that do not respond within a second are terminated. */
export function closeSockets(this: FastifyInstance, done: (error?: Error) => void): void {
  const { clients } = this.websocketServer
  for (const client of clients) client.close(1001, 'the service is restarting')
  setTimeout(() => {
    for (const client of clients) client.terminate()
  }, GRACE_MS).unref()
  this.websocketServer.close()
  done()
}
