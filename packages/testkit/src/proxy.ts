import { createServer, connect as dial, type Socket } from 'node:net'

/** What happens to a transaction at its COMMIT, seen from its client. */
export type CommitFault =
  /** The server commits, its reply never arrives: the connection is cut instead. */
  | 'reply lost'
  /** The connection is cut before the server hears of the COMMIT. */
  | 'cut before'
  /** The client loses its connection at once; the server hears the COMMIT when it is let through. */
  | 'late'

/** One COMMIT that will meet a fault. */
export interface CommitTrap {
  /** Resolves when it has happened. */
  sprung: Promise<void>
  /** Let a `late` COMMIT through to the server. */
  release(): void
}

/** A TCP proxy before one server that can do to connections what networks do. */
export interface TcpProxy {
  port: number
  /** The address of the server by way of the proxy. */
  urlOf(url: string): string
  /** Connections that are open now. */
  connections(): number
  /** Carry nothing in either direction and say nothing of it; `existing` leaves connections made from now on alone. */
  pause(which?: 'all' | 'existing'): void
  /** Carry everything again, also what was held back. */
  resume(): void
  /** Reset every connection. */
  cut(): void
  /** Refuse connections, after resetting those that are open, until `resume`. */
  refuse(): void
  /** Hold everything back for so long from now on; 0 is at once. */
  delay(milliseconds: number): void
  /** Spring a fault, once, at the COMMIT of the next transaction whose statements and values contain all of `marks`. */
  atCommit(marks: readonly string[], fault: CommitFault): CommitTrap
  close(): Promise<void>
}

interface Link {
  client: Socket
  server: Socket
  frozen: boolean
}

interface Trap {
  marks: readonly string[]
  fault: CommitFault
  spring: () => void
  released: Promise<void>
}

/** Listen on a free port of 127.0.0.1 and carry every connection to `target`. */
export async function startProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const links = new Set<Link>()
  const traps: Trap[] = []
  let mode: 'open' | 'paused' | 'refusing' = 'open'
  let lag = 0

  const server = createServer((client) => {
    if (mode === 'refusing') {
      client.on('error', () => client.destroy())
      client.resetAndDestroy()
      return
    }
    const link: Link = { client, server: dial(target.port, target.host), frozen: mode === 'paused' }
    links.add(link)
    carry(link, traps, () => lag)
    for (const socket of [link.client, link.server]) {
      if (link.frozen) socket.pause()
      socket.on('close', () => links.delete(link))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')

  const cut = () => {
    for (const link of links) {
      link.client.resetAndDestroy()
      link.server.resetAndDestroy()
    }
  }
  return {
    port: address.port,
    urlOf: (url) => {
      const through = new URL(url)
      through.hostname = '127.0.0.1'
      through.port = String(address.port)
      return through.href
    },
    connections: () => links.size,
    pause: (which = 'all') => {
      if (which === 'all') mode = 'paused'
      for (const link of links) freeze(link, true)
    },
    resume: () => {
      mode = 'open'
      for (const link of links) freeze(link, false)
    },
    cut,
    refuse: () => {
      mode = 'refusing'
      cut()
    },
    delay: (milliseconds) => {
      lag = milliseconds
    },
    atCommit: (marks, fault) => {
      const letThrough = new AbortController()
      const released = new Promise<void>((resolve) => {
        letThrough.signal.addEventListener('abort', () => resolve())
      })
      const sprung = new Promise<void>((resolve) => {
        traps.push({ marks, fault, spring: resolve, released })
      })
      return { sprung, release: () => letThrough.abort() }
    },
    close: async () => {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function freeze(link: Link, frozen: boolean): void {
  link.frozen = frozen
  for (const socket of [link.client, link.server]) frozen ? socket.pause() : socket.resume()
}

const COMMIT = Buffer.from('Q\0\0\0\x0bcommit\0')
/** As much of what a client has said as a mark may be long, so that none is missed between two chunks. */
const OVERLAP = 200

/** Carry bytes both ways, and watch what the client says to PostgreSQL for the transaction of a trap. */
function carry(link: Link, traps: Trap[], lag: () => number): void {
  const { client, server } = link
  let said = new Set<string>()
  let tail = ''
  let caught: Trap | undefined
  const end = () => {
    client.destroy()
    server.destroy()
  }
  const send = (to: Socket, chunk: Buffer) => {
    if (lag() === 0) to.write(chunk)
    else setTimeout(() => to.write(chunk), lag())
  }
  const hear = (chunk: Buffer): Trap | undefined => {
    if (traps.length === 0) return undefined
    const text = tail + chunk.toString('latin1')
    tail = text.slice(-OVERLAP)
    for (const mark of traps.flatMap(({ marks }) => marks)) if (text.includes(mark)) said.add(mark)
    if (!chunk.includes(COMMIT)) return undefined
    const index = traps.findIndex(({ marks }) => marks.every((mark) => said.has(mark)))
    said = new Set()
    tail = ''
    return index < 0 ? undefined : traps.splice(index, 1)[0]
  }

  client.on('data', (chunk: Buffer) => {
    const trap = hear(chunk)
    if (trap === undefined) return send(server, chunk)
    if (trap.fault === 'cut before') {
      end()
      trap.spring()
      return
    }
    caught = trap
    if (trap.fault === 'reply lost') return send(server, chunk)
    // The server keeps its side of the connection, and hears the COMMIT later.
    client.resetAndDestroy()
    trap.spring()
    void trap.released.then(() => server.write(chunk))
  })
  server.on('data', (chunk: Buffer) => {
    if (caught === undefined) return send(client, chunk)
    // Whatever the server says now is its answer to the COMMIT.
    end()
    caught.spring()
  })
  // The other side sees a connection that ends as this one did.
  client.on('error', () => client.destroy())
  server.on('error', () => server.destroy())
  client.on('close', () => {
    if (caught?.fault !== 'late') server.destroy()
  })
  server.on('close', () => client.destroy())
}
