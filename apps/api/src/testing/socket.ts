import { once } from 'node:events'
import { ServerMessage } from '@aduana/contracts/progress'
import { until } from '@aduana/testkit/until'
import { WebSocket } from 'ws'
import type { TestApi, TestUser } from './start-api.ts'

/** A WebSocket client that keeps what it was sent. */
export interface TestSocket {
  socket: WebSocket
  messages: ServerMessage[]
  send(message: unknown): void
  /** The first message, also an earlier one, that fits. */
  receive<T extends ServerMessage['type']>(
    type: T,
    fits?: (message: Extract<ServerMessage, { type: T }>) => boolean,
  ): Promise<Extract<ServerMessage, { type: T }>>
  /** The code with which the server closes. */
  closed: Promise<number>
}

/** Opens /ws as a user, by the token in the header. */
export async function openSocket(api: TestApi, user: TestUser, path = '/ws'): Promise<TestSocket> {
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}${path}`, {
    headers: { authorization: `Bearer ${user.token}` },
  })
  const messages: ServerMessage[] = []
  socket.on('message', (data) => messages.push(ServerMessage.parse(JSON.parse(String(data)))))
  const closed = once(socket, 'close').then(([code]) => Number(code))
  await once(socket, 'open')
  return {
    socket,
    messages,
    closed,
    send: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    receive: (type, fits = () => true) =>
      until(
        () =>
          messages.find(
            (message): message is Extract<ServerMessage, { type: typeof type }> =>
              message.type === type && fits(message as never),
          ),
        { what: `a message "${type}" comes` },
      ),
  }
}

/** Tries to open a WebSocket that is refused. Returns the HTTP status. */
export async function refusedUpgrade(url: string, headers: Record<string, string> = {}): Promise<number> {
  const socket = new WebSocket(url, { headers })
  const [, response] = await once(socket, 'unexpected-response')
  socket.on('error', () => socket.terminate())
  socket.terminate()
  return response.statusCode
}
