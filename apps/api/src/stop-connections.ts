import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** Requests that are under way when the API stops may take this long; then uploads are told to come again. */
const GRACE_MS = 5000
/** So long what is told then has to reach its client. */
const FAREWELL_MS = 1000

/**
 * Close connections when the application closes: at once those on which nothing is asked, the others when their answer
 * is complete, at last all of them. WebSockets have been told by then. Without it every client that only keeps its
 * connection open would be waited for, and an upgrade that was refused for ever. `onGraceOver` is called before the last
 * step.
 */
export function stopConnections(app: FastifyInstance, onGraceOver: () => void): void {
  const { server, websocketServer } = app
  const open = new Set<Socket>()
  const busy = new Set<Socket>()
  const timers: NodeJS.Timeout[] = []
  let stopping = false

  server.on('connection', (socket: Socket) => {
    if (stopping) return void socket.destroy()
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    busy.add(socket)
    response.once('close', () => {
      busy.delete(socket)
      // Not destroyed: what the client still sends would make its system throw the answer away.
      if (stopping) socket.end()
    })
  })
  websocketServer.on('connection', (_client, { socket }) => {
    busy.add(socket)
    socket.once('close', () => busy.delete(socket))
  })

  app.addHook('preClose', async () => {
    stopping = true
    for (const socket of open) if (!busy.has(socket)) socket.destroy()
    const cut = () => {
      for (const socket of open) socket.destroy()
    }
    timers.push(setTimeout(onGraceOver, GRACE_MS), setTimeout(cut, GRACE_MS + FAREWELL_MS))
  })
  app.addHook('onClose', async () => {
    for (const timer of timers) clearTimeout(timer)
  })
}
