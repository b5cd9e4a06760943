import { connect, createServer } from 'node:net'
import { systemCode } from './errors.mjs'

/**
 * @param {number} [preferred] taken if it is free
 * @param {string} [host]
 * @returns {Promise<number>} a port that was free a moment ago
 */
export async function freePort(preferred = 0, host = '127.0.0.1') {
  const first = await tryPort(preferred, host)
  if (first !== undefined) return first
  const any = await tryPort(0, host)
  if (any === undefined) throw new Error(`no free port on ${host}`)
  return any
}

/**
 * @param {number} port
 * @param {string} host
 * @returns {Promise<number | undefined>}
 */
function tryPort(port, host) {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => {
      const code = systemCode(error)
      if (code === 'EADDRINUSE' || code === 'EACCES') resolve(undefined)
      else reject(error)
    })
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address()
      const got = typeof address === 'object' && address !== null ? address.port : port
      server.close(() => resolve(got))
    })
  })
}

/**
 * @param {string} url of a service reached by TCP; one without a host (a Unix socket) counts as reachable
 * @param {number} defaultPort
 * @returns {Promise<string | undefined>} why it cannot be reached, or undefined when it can
 */
export async function unreachable(url, defaultPort) {
  if (!URL.canParse(url)) return 'it is not a URL'
  const { hostname, port } = new URL(url)
  if (hostname === '') return undefined
  return new Promise((resolve) => {
    const host = hostname.replace(/^\[|\]$/g, '')
    const socket = connect({ host, port: Number(port || defaultPort) })
    socket.setTimeout(5000)
    const settle = (/** @type {string | undefined} */ reason) => {
      socket.destroy()
      resolve(reason)
    }
    socket.once('connect', () => settle(undefined))
    socket.once('timeout', () => settle(`${hostname} did not respond within 5 s`))
    socket.once('error', (error) => settle(error.message || (systemCode(error) ?? 'no connection')))
  })
}
