import type { Logger } from '@aduana/runtime/logger'
import pg from 'pg'

/** A subscription to the notifications of one channel. */
export interface Listener {
  close(): Promise<void>
}

export interface ListenOptions {
  url: string
  channel: string
  logger: Logger
  onMessage: (payload: string) => void
}

const RECONNECT_MS = 1000

/**
 * Listens to a channel on a dedicated connection, which is reopened when it is lost. Messages in between are missed, so
 * callers must also poll.
 */
export function listen(options: ListenOptions): Listener {
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const reconnect = (error: unknown) => {
    if (closed || timer) return
    options.logger.warn({ event: 'db.listen_lost', channel: options.channel, err: error })
    timer = setTimeout(() => {
      timer = undefined
      void connect()
    }, RECONNECT_MS)
  }
  const connect = async () => {
    const fresh = new pg.Client({
      connectionString: options.url,
      application_name: `aduana listen ${options.channel}`,
      keepAlive: true,
    })
    client = fresh
    fresh.on('error', reconnect)
    fresh.on('end', () => reconnect(new Error('the connection ended')))
    fresh.on('notification', (message) => options.onMessage(message.payload ?? ''))
    try {
      await fresh.connect()
      await fresh.query(`listen ${pg.escapeIdentifier(options.channel)}`)
    } catch (error) {
      reconnect(error)
    }
  }
  const started = connect()
  return {
    close: async () => {
      closed = true
      clearTimeout(timer)
      await started
      await client?.end()
    },
  }
}
