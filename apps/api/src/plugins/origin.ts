import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyRequest } from 'fastify'

/** @throws ProblemError `cross_site` when a browser says that another site than ours asks */
export function refuseForeignOrigin(request: FastifyRequest, origins: readonly string[]): void {
  const { origin } = request.headers
  if (origin !== undefined) {
    if (hostOf(origin) === request.host || origins.includes(origin)) return
    throw new ProblemError('cross_site', `Requests from ${origin} are not taken. Add it to ADUANA_ORIGINS.`)
  }
  const site = request.headers['sec-fetch-site']
  if (site === 'cross-site' || site === 'same-site')
    throw new ProblemError('cross_site', 'Requests from other sites are not taken.')
}

/** True for an address of this very machine. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.|^::1$/.test(address)
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
