import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { ProblemError } from '@aduana/contracts/problems'
import type { Logger } from '@aduana/runtime/logger'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { problemDocument, sendProblem, toProblem } from './problems.ts'

/** Headers of responses that pass no hook: they must not be stored, framed or executed. */
const HEADERS = {
  'cache-control': 'private, no-store',
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
}

const RETRY_AFTER_SECONDS = 5

/** Returns the handler of requests that the HTTP parser refuses. Fastify never sees such a request. */
export function replyMalformed(logger: Logger, pendingResponses: WeakMap<Duplex, ServerResponse>) {
  return (error: Error & { code?: string }, socket: Duplex): void => {
    const answer = pendingResponses.get(socket)
    const begun = answer?.headersSent === true && !answer.writableFinished
    if (error.code === 'ECONNRESET' || !socket.writable || begun) {
      socket.destroy()
      return
    }
    replyOnSocket(socket, problemOfParser(error), { logger })
  }
}

/** Sends the error for a request whose address cannot be parsed. No hook has run for it. */
export function replyUnroutable(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(HEADERS)
  // The WebSocket plugin closes the sockets of refused upgrades, but not those of requests without a route.
  if (request.raw.headers.upgrade !== undefined)
    reply.raw.once('finish', () => request.raw.socket.destroySoon())
  const problem = toProblem(error)
  request.log.info({ event: 'http.unroutable', method: request.method, problem: problem.code })
  sendProblem(request, reply, problem)
}

/**
 * Sends a problem document with a request id for requests that Node or the WebSocket library would refuse themselves.
 */
export function registerUnrouted(
  app: FastifyInstance,
  logger: Logger,
  pendingResponses: WeakMap<Duplex, ServerResponse>,
): void {
  const ids = new WeakMap<IncomingMessage, string>()
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
  })
  app.addHook('onRequest', async (request, reply) => {
    ids.set(request.raw, request.id)
    if (closing) {
      const extra = { retryAfterSeconds: RETRY_AFTER_SECONDS }
      return sendProblem(
        request,
        reply,
        new ProblemError('unavailable', 'The service is stopping. Try again in a moment.', extra),
      )
    }
    if (request.raw.httpVersion === '1.1' && request.headers.host === undefined)
      return sendProblem(
        request,
        reply,
        new ProblemError('bad_request', 'The Host header is missing. Send it with every HTTP/1.1 request.'),
      )
  })
  app.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    pendingResponses.set(request.socket, response)
  })
  // An unknown expectation may be ignored.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.server.on('connect', (_request, socket) => {
    replyOnSocket(
      socket,
      new ProblemError('bad_request', 'CONNECT is not supported. This API is not a proxy.'),
      { logger },
    )
  })
  app.addHook('onReady', async () => {
    const sockets = app.websocketServer
    sockets.on('headers', (headers, request) => {
      headers.push(`x-request-id: ${ids.get(request) ?? randomUUID()}`)
    })
    sockets.on('wsClientError', (error, socket, request) => {
      const problem = new ProblemError(
        'bad_request',
        `The WebSocket upgrade request is malformed: ${error.message}.`,
      )
      const headers = { 'sec-websocket-version': '13' }
      replyOnSocket(socket, problem, { logger, headers, id: ids.get(request) })
    })
  })
}

function problemOfParser(error: Error & { code?: string }): ProblemError {
  switch (error.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ProblemError(
        'request_timeout',
        'The request headers did not arrive in time. Send the request again.',
      )
    case 'HPE_HEADER_OVERFLOW':
      return new ProblemError(
        'headers_too_large',
        'The address and the headers together exceed 16 KiB. Send fewer or shorter headers.',
      )
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ProblemError(
        'body_too_large',
        'The chunk extensions exceed 16 KiB. Send the request without them.',
      )
    default:
      return new ProblemError(
        'bad_request',
        'The request is not valid HTTP/1.1. Correct it and send it again.',
      )
  }
}

/** Writes a response to a connection without a response object, and closes it. */
function replyOnSocket(
  socket: Duplex,
  problem: ProblemError,
  about: { logger: Logger; headers?: Record<string, string>; id?: string | undefined },
): void {
  const id = about.id ?? randomUUID()
  const document = problemDocument(problem)
  const body = JSON.stringify({ ...document, instance: id })
  const headers = {
    ...HEADERS,
    ...about.headers,
    'x-request-id': id,
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    date: new Date().toUTCString(),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  about.logger.info({ event: 'http.malformed', status: document.status, problem: document.code, reqId: id })
  // Node has removed its own error listener. Without one, a connection reset would end the process.
  socket.on('error', () => socket.destroy())
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${document.status} ${STATUS_CODES[document.status]}\r\n${lines.join('')}\r\n${body}`)
}
