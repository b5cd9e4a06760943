import { isIP } from 'node:net'
import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyRequest } from 'fastify'

/**
 * Refuses a request from a page of another origin: its scheme, host or port differs from that of the request. Behind a
 * trusted proxy, X-Forwarded-Proto and X-Forwarded-Host are used.
 * @throws ProblemError `cross_site`
 */
export function assertOwnOrigin(request: FastifyRequest, origins: readonly string[]): void {
  const { origin } = request.headers
  if (origin !== undefined) {
    const own = originOf(`${request.protocol}://${request.host}`)
    const asking = originOf(origin)
    if (asking !== undefined && (asking === own || origins.some((known) => originOf(known) === asking)))
      return
    throw new ProblemError(
      'cross_site',
      `Requests from ${origin} are refused, because the API was called as ${own ?? 'an invalid address'}. If a proxy is in front of the API, add the proxy to ADUANA_TRUSTED_PROXIES and have it send X-Forwarded-Proto and X-Forwarded-Host. Otherwise add the origin to ADUANA_ORIGINS.`,
    )
  }
  const site = request.headers['sec-fetch-site']
  if (site === 'cross-site' || site === 'same-site')
    throw new ProblemError(
      'cross_site',
      'Requests from other sites are refused. Add the origin of the site to ADUANA_ORIGINS to allow them.',
    )
}

/**
 * Returns false when the host name of a request may belong to another site: a page can point the name of its own site at
 * this machine (DNS rebinding) and read what needs no login. IP addresses, `localhost`, names without a dot and the names
 * in ADUANA_ORIGINS cannot be names of such a site.
 */
export function hasOwnHost({ host }: FastifyRequest, origins: readonly string[]): boolean {
  const origin = originOf(`http://${host}`)
  if (origin === undefined) return false
  const name = nameOf(origin)
  if (isIP(name) !== 0 || !name.includes('.') || name.endsWith('.localhost')) return true
  return origins.some((known) => nameOf(originOf(known) ?? '') === name)
}

/** Refuses a request whose host name may belong to another site. @throws ProblemError `cross_site` */
export function assertOwnHost(request: FastifyRequest, origins: readonly string[]): void {
  if (hasOwnHost(request, origins)) return
  throw new ProblemError(
    'cross_site',
    `This endpoint does not accept the host name ${request.host}. Use an IP address or localhost, or add the origin (https://${request.host}) to ADUANA_ORIGINS.`,
  )
}

function nameOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1') : ''
}

/** Returns true for a loopback address. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.|^::1$/.test(address)
}

/** Returns scheme, host and port as browsers write them, without the default port. */
function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined
}
