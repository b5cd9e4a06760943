import { isIP } from 'node:net'
import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyRequest } from 'fastify'

/**
 * Refuse a request that a page of another origin makes: another scheme, host or port than those by which it was asked.
 * Behind a proxy these are what a trusted one says in X-Forwarded-Proto and X-Forwarded-Host.
 * @throws ProblemError `cross_site`
 */
export function refuseForeignOrigin(request: FastifyRequest, origins: readonly string[]): void {
  const { origin } = request.headers
  if (origin !== undefined) {
    const own = originOf(`${request.protocol}://${request.host}`)
    const asking = originOf(origin)
    if (asking !== undefined && (asking === own || origins.some((known) => originOf(known) === asking)))
      return
    throw new ProblemError(
      'cross_site',
      `Requests from ${origin} are refused: this API was called as ${own ?? 'an invalid address'}. If there is a proxy in front of it, name the proxy in ADUANA_TRUSTED_PROXIES and have it send X-Forwarded-Proto and X-Forwarded-Host; or add the origin to ADUANA_ORIGINS.`,
    )
  }
  const site = request.headers['sec-fetch-site']
  if (site === 'cross-site' || site === 'same-site')
    throw new ProblemError('cross_site', 'Requests from other sites are refused.')
}

/**
 * False when a request reaches this API by a name that may be of another site: a page can have the name of its own site
 * lead to this machine (DNS rebinding), and read what needs no login. Addresses, `localhost`, names without a dot and
 * those of ADUANA_ORIGINS cannot be names of such a site.
 */
export function hasOwnHost({ host }: FastifyRequest, origins: readonly string[]): boolean {
  const origin = originOf(`http://${host}`)
  if (origin === undefined) return false
  const name = nameOf(origin)
  if (isIP(name) !== 0 || !name.includes('.') || name.endsWith('.localhost')) return true
  return origins.some((known) => nameOf(originOf(known) ?? '') === name)
}

/** Refuse a request without `hasOwnHost`. @throws ProblemError `cross_site` */
export function refuseForeignHost(request: FastifyRequest, origins: readonly string[]): void {
  if (hasOwnHost(request, origins)) return
  throw new ProblemError(
    'cross_site',
    `This endpoint does not accept the host name ${request.host}. Use an IP address or localhost, or add the origin (https://${request.host}) to ADUANA_ORIGINS.`,
  )
}

function nameOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1') : ''
}

/** True for an address of this very machine. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.|^::1$/.test(address)
}

/** Scheme, host and port as browsers write them, without the port that the scheme has anyway. */
function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined
}
