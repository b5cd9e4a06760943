import { connect, createServer, type Socket } from 'node:net'

/** A proxy for Redis that can stop all traffic of the connections that take jobs. */
export interface SilentRedis {
  url: string
  /** Stops all traffic on the connections of consumers without closing them. */
  silence(): void
  close(): Promise<void>
}

interface Link {
  client: Socket
  server: Socket
}

/** Commands that only consumers send: they wait for a job, or look for jobs of dead workers. */
const CONSUMES = /bzpopmin|stalled-check/i

/** Listens on a free port and forwards connections to the Redis at `target`. */
export async function startSilentRedis(target: string): Promise<SilentRedis> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  const consumers = new Set<Link>()
  let silent = false
  const freeze = ({ client, server }: Link) => {
    client.pause()
    server.pause()
  }
  const listener = createServer((client) => {
    const server = connect(Number(port), hostname)
    const link = { client, server }
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => sockets.delete(socket))
    }
    client.on('data', (chunk: Buffer) => {
      if (CONSUMES.test(chunk.toString('latin1'))) consumers.add(link)
      if (silent && consumers.has(link)) freeze(link)
      else server.write(chunk)
    })
    server.on('data', (chunk: Buffer) => client.write(chunk))
    client.on('close', () => server.destroy())
    server.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('there is no port')
  const through = new URL(target)
  through.hostname = '127.0.0.1'
  through.port = String(address.port)
  return {
    url: through.href,
    silence: () => {
      silent = true
      for (const link of consumers) freeze(link)
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}
