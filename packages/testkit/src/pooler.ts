import { createServer, Socket } from 'node:net'
import pg from 'pg'

/** A pooler in front of PostgreSQL that assigns a client a connection for one transaction at a time, as PgBouncer can. */
export interface Pooler {
  /** The address of the database through the pooler. */
  url: string
  close(): Promise<void>
}

export interface PoolerOptions {
  /** Address of the database. */
  url: string
  /** Connections to the server. */
  size: number
  /** Sends clients the process id of a real connection to the server instead of a made-up one. */
  sendsRealId?: boolean
}

interface Backend {
  socket: Socket
  pid: number
}

const STARTUP_REPLY = Buffer.from('R\0\0\0\x08\0\0\0\0')
const READY = Buffer.from('Z\0\0\0\x05I')

/** Starts a pooler on a free port of 127.0.0.1. The most recently used connection is assigned first. */
export async function startPooler({ url, size, sendsRealId = false }: PoolerOptions): Promise<Pooler> {
  const idle = await Promise.all(Array.from({ length: size }, () => connectBackend(url)))
  const backends = [...idle]
  const clients = new Set<Socket>()
  const waiting: ((backend: Backend) => void)[] = []
  const release = (backend: Backend) => {
    backend.socket.removeAllListeners('data')
    const next = waiting.shift()
    if (next) next(backend)
    else idle.push(backend)
  }
  const borrow = () => {
    const backend = idle.pop()
    return backend ? Promise.resolve(backend) : new Promise<Backend>((resolve) => waiting.push(resolve))
  }

  const server = createServer((client) => {
    clients.add(client)
    client.on('error', () => client.destroy())
    client.on('close', () => clients.delete(client))
    client.once('data', () => {
      const pid = sendsRealId ? (idle.at(-1)?.pid ?? 0) : 0x0bad_cafe
      client.write(Buffer.concat([STARTUP_REPLY, keyData(pid), READY]))
      serve(client, borrow, release)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the pooler has no port')
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String(address.port)
  return {
    url: through.href,
    close: async () => {
      for (const socket of [...clients, ...backends.map((backend) => backend.socket)]) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Forwards the messages of a client to a borrowed backend, and releases it at the end of the transaction. */
function serve(client: Socket, borrow: () => Promise<Backend>, release: (backend: Backend) => void): void {
  let backend: Promise<Backend> | undefined
  const begin = async () => {
    const borrowed = await borrow()
    borrowed.socket.on('data', (chunk: Buffer) => {
      client.write(chunk)
      // Ready for query, outside a transaction.
      if (!chunk.subarray(-READY.length).equals(READY)) return
      backend = undefined
      release(borrowed)
    })
    return borrowed
  }
  client.on('data', (chunk: Buffer) => {
    backend ??= begin()
    void backend.then(({ socket }) => socket.write(chunk))
  })
}

function keyData(pid: number): Buffer {
  const message = Buffer.alloc(13)
  message.write('K')
  message.writeInt32BE(12, 1)
  message.writeInt32BE(pid, 5)
  return message
}

/** Opens an authenticated connection and detaches its client library. */
async function connectBackend(url: string): Promise<Backend> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const { stream: socket } = client.connection
  if (!(socket instanceof Socket)) throw new Error('not a socket')
  socket.removeAllListeners('data')
  return { socket, pid: rows[0]?.pid ?? 0 }
}
