import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

/** A request; `what` is its method with the names of the parameters that distinguish the actions of S3. */
export interface Asked {
  what: string
  url: URL
  headers: IncomingMessage['headers']
  body: Buffer
}
export type Answer = (asked: Asked, response: ServerResponse) => void

/** Responses in the order of the requests of each kind; the last one repeats. */
export type Script = Partial<Record<string, Answer[]>>

/** A server in place of S3 with scripted responses, which records the requests. */
export interface AnsweringServer {
  endpoint: string
  script: Script
  asked: Asked[]
  count(what: string): number
  close(): void
}

/** Starts a server on a free port. */
export async function startAnsweringServer(): Promise<AnsweringServer> {
  const server = createServer((request, response) => void respond(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const answering: AnsweringServer = {
    endpoint: `http://127.0.0.1:${address.port}`,
    script: {},
    asked: [],
    count: (what) => answering.asked.filter((one) => one.what === what).length,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '', 'http://localhost')
    const action = ['uploads', 'uploadId', 'partNumber'].filter((name) => url.searchParams.has(name))
    const what = [request.method, ...action].join(' ')
    // An aborted request is recorded, too.
    const body = await buffer(request).catch(() => Buffer.alloc(0))
    const before = answering.count(what)
    const one = { what, url, headers: request.headers, body }
    answering.asked.push(one)
    const answers = answering.script[what] ?? []
    const chosen = answers[before] ?? answers.at(-1)
    if (chosen) chosen(one, response)
    else response.writeHead(501).end()
  }
  return answering
}

/** 200 with headers and a body. */
export function ok(headers: Record<string, string | number> = {}, body: string | Buffer = ''): Answer {
  return (_asked, response) => void response.writeHead(200, headers).end(body)
}

/** Returns an error in the format of S3. */
export function fails(status: number, code: string): Answer {
  return (_asked, response) =>
    void response
      .writeHead(status, { 'content-type': 'application/xml' })
      .end(`<Error><Code>${code}</Code><Message>as the test wants it</Message></Error>`)
}

/** Closes the connection without a response. */
export const drops: Answer = (_asked, response) => void response.socket?.destroy()

/** Stores the body with the checksum of the request. */
export const stores: Answer = ({ headers }, response) =>
  void response
    .writeHead(200, { etag: '"x"', 'x-amz-checksum-sha256': String(headers['x-amz-checksum-sha256']) })
    .end()

/** An upload in parts begins. */
export const begins: Answer = ok(
  {},
  '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>',
)
