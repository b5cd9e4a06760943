import { createServer, connect as dial, type Socket } from 'node:net'

/** A fault at the COMMIT of a transaction. */
export type CommitFault =
  /** The server commits, and the connection is cut before its reply arrives. */
  | 'reply lost'
  /** The connection is cut before the server receives the COMMIT. */
  | 'cut before'
  /** The client loses its connection at once. The server receives the COMMIT after `release`. */
  | 'late'

/** A fault that is set for one COMMIT. */
export interface CommitTrap {
  /** Resolves when the fault has been injected. */
  sprung: Promise<void>
  /** Forwards a `late` COMMIT to the server. */
  release(): void
}

/** A TCP proxy in front of one server that injects network faults. */
export interface TcpProxy {
  port: number
  /** Returns the address of the server through the proxy. */
  urlOf(url: string): string
  /** Returns the number of open connections. */
  connections(): number
  /** Stops forwarding in both directions without closing connections. `existing` does not affect new connections. */
  pause(which?: 'all' | 'existing'): void
  /** Resumes forwarding, also of withheld data. */
  resume(): void
  /** Resets every connection. */
  cut(): void
  /** Resets open connections and refuses new ones until `resume`. */
  refuse(): void
  /** Delays all data by `milliseconds` from now on; 0 forwards at once. */
  delay(milliseconds: number): void
  /** Injects a fault once, at the COMMIT of the next transaction whose statements and values contain all of `marks`. */
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

/** Starts a proxy of `target` on a free port of 127.0.0.1. */
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
    forward(link, traps, () => lag)
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
      const releasing = new AbortController()
      const released = new Promise<void>((resolve) => {
        releasing.signal.addEventListener('abort', () => resolve())
      })
      const sprung = new Promise<void>((resolve) => {
        traps.push({ marks, fault, spring: resolve, released })
      })
      return { sprung, release: () => releasing.abort() }
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
/** Maximum length of a mark in bytes. That many bytes of a chunk are kept to find a mark that spans two chunks. */
const OVERLAP = 200

/** Forwards bytes in both directions, and searches the client's messages for the transaction of a trap. */
function forward(link: Link, traps: Trap[], lag: () => number): void {
  const { client, server } = link
  let seen = new Set<string>()
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
  const trapAt = (chunk: Buffer): Trap | undefined => {
    if (traps.length === 0) return undefined
    const text = tail + chunk.toString('latin1')
    tail = text.slice(-OVERLAP)
    for (const mark of traps.flatMap(({ marks }) => marks)) if (text.includes(mark)) seen.add(mark)
    if (!chunk.includes(COMMIT)) return undefined
    const index = traps.findIndex(({ marks }) => marks.every((mark) => seen.has(mark)))
    seen = new Set()
    tail = ''
    return index < 0 ? undefined : traps.splice(index, 1)[0]
  }

  client.on('data', (chunk: Buffer) => {
    const trap = trapAt(chunk)
    if (trap === undefined) return send(server, chunk)
    if (trap.fault === 'cut before') {
      end()
      trap.spring()
      return
    }
    caught = trap
    if (trap.fault === 'reply lost') return send(server, chunk)
    // The server keeps its side of the connection, and receives the COMMIT later.
    client.resetAndDestroy()
    trap.spring()
    void trap.released.then(() => server.write(chunk))
  })
  server.on('data', (chunk: Buffer) => {
    if (caught === undefined) return send(client, chunk)
    // The next data from the server is its reply to the COMMIT.
    end()
    caught.spring()
  })
  // An error closes both sides of the connection.
  client.on('error', () => client.destroy())
  server.on('error', () => server.destroy())
  client.on('close', () => {
    if (caught?.fault !== 'late') server.destroy()
  })
  server.on('close', () => client.destroy())
}
