import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** Time for open requests to finish when the API stops. Then uploads are refused with Retry-After. */
const GRACE_MS = 5000
/** Time for these refusals to reach their clients. */
const CLOSE_GRACE_MS = 1000

/**
 * Closes connections when the application closes: idle ones at once, others when their response is complete, and finally all
 * that remain. WebSockets are already closed. Otherwise the application would wait for keep-alive connections, and
 * indefinitely for refused upgrades. `onGraceOver` is called at the end of the grace period.
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
      // Not destroyed: the client may still be sending, and a reset would discard the response.
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
    timers.push(setTimeout(onGraceOver, GRACE_MS), setTimeout(cut, GRACE_MS + CLOSE_GRACE_MS))
  })
  app.addHook('onClose', async () => {
    for (const timer of timers) clearTimeout(timer)
  })
}
