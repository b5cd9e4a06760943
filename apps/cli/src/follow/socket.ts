import { type ClientMessage, ServerMessage } from '@aduana/contracts/progress'
import { WebSocket } from 'ws'
import { type Api, authorization } from '../api/api.ts'

const CONNECT_TIMEOUT_MS = 5000
const CLOSE_TIMEOUT_MS = 500
// The server sends heartbeats; a connection without one for longer is dead.
const SILENCE_TIMEOUT_MS = 60_000

/** An open subscription to one job. */
export interface Subscription {
  /** Resolves, with the reason, when the connection has ended or could not be opened. Never rejects. */
  closed: Promise<string>
  close(): void
}

/** Subscribes to a job over a WebSocket. `after` is the last sequence number that was received. */
export function subscribe(
  api: Api,
  job: { id: string; after: number },
  onMessage: (message: ServerMessage) => void,
): Subscription {
  const url = `${api.url.replace(/^http/, 'ws')}/ws`
  const socket = new WebSocket(url, { headers: authorization(api), handshakeTimeout: CONNECT_TIMEOUT_MS })
  const closed = new Promise<string>((resolve) => {
    let silence: NodeJS.Timeout | undefined
    let why = 'the connection was closed'
    const heard = () => {
      clearTimeout(silence)
      silence = setTimeout(() => {
        why = 'the connection was silent'
        socket.terminate()
      }, SILENCE_TIMEOUT_MS)
    }
    socket.on('open', () => {
      heard()
      const after = job.after >= 0 ? { after: job.after } : {}
      socket.send(
        JSON.stringify({ type: 'subscribe', topic: 'job', id: job.id, ...after } satisfies ClientMessage),
      )
    })
    socket.on('ping', heard)
    socket.on('message', (data) => {
      heard()
      const message = ServerMessage.safeParse(parseJson(data.toString()))
      // A newer server may send kinds of messages that this program does not know.
      if (message.success) onMessage(message.data)
    })
    socket.on('error', (error) => {
      why = error.message
    })
    socket.on('close', () => {
      clearTimeout(silence)
      resolve(why)
    })
  })
  return { closed, close: () => end(socket) }
}

/** Closes the socket, and terminates it if the server does not respond soon. */
function end(socket: WebSocket): void {
  socket.close()
  setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS).unref()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The schema refuses it like any unknown message.
    return undefined
  }
}
