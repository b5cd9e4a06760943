import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { pipeline, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { ImportAccepted } from '@aduana/contracts/jobs'
import { UsageError, unreadable } from '../errors.ts'
import { type Api, authorization, connectionProblem, parseResponse } from './api.ts'

const CHUNK_BYTES = 256 * 1024

/** The progress of an upload, in bytes. */
export interface UploadProgress {
  sent: number
  bytes: number
}

/**
 * Uploads a file of any size under a name as an import, streaming it from disk. `fetch` is not used: it loses the response of a
 * server that refuses before the whole body is sent. With the same `key` it is imported once.
 * @throws ApiProblem, ConnectionError, UsageError for a file that cannot be sent
 */
export async function uploadImport(
  api: Api,
  { path, name }: { path: string; name: string },
  fields: Readonly<Record<string, string>>,
  key: string,
  onProgress: (progress: UploadProgress) => void,
): Promise<ImportAccepted> {
  const bytes = await sizeOf(path)
  const boundary = `aduana-${randomUUID()}`
  const head = Buffer.from(
    Object.entries(fields)
      .map(
        ([name, value]) =>
          `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
      )
      .join('') +
      `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${quotable(name)}"\r\ncontent-type: application/octet-stream\r\n\r\n`,
  )
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`)
  const body = async function* () {
    yield head
    let sent = 0
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      sent += chunk.length
      if (sent > bytes) break
      yield chunk
      onProgress({ sent, bytes })
    }
    if (sent !== bytes)
      throw new UsageError(
        `${path} changed during the upload. Nothing was imported. Send it again when it is complete.`,
      )
    yield tail
  }
  const headers = {
    ...authorization(api),
    accept: 'application/json',
    'idempotency-key': key,
    'content-type': `multipart/form-data; boundary=${boundary}`,
    'content-length': String(head.length + bytes + tail.length),
  }
  const answer = await send(api, headers, body)
  return parseResponse(api, ImportAccepted, answer.status, answer.text, answer.retryAfter)
}

interface Response {
  status: number
  text: string
  retryAfter: string | null
}

/** Sends the request. A response that arrives before the body is sent ends the upload. */
function send(
  api: Api,
  headers: Record<string, string>,
  body: () => AsyncGenerator<Buffer>,
): Promise<Response> {
  const url = new URL(`${api.url}/api/imports`)
  const { request: open } = url.protocol === 'https:' ? https : http
  const request = open(url, { method: 'POST', headers, signal: api.signal })
  const source = Readable.from(body(), { objectMode: false })
  return new Promise<Response>((resolve, reject) => {
    let answered = false
    request.once('response', (response) => {
      answered = true
      readResponse(response).then(resolve, reject)
    })
    request.on('error', (error) => {
      if (!answered) reject(connectionProblem(api, error))
    })
    source.once('error', reject)
    // The request reports its own errors.
    pipeline(source, request, () => undefined)
  }).finally(() => {
    source.destroy()
    request.destroy()
  })
}

async function readResponse(response: http.IncomingMessage): Promise<Response> {
  return {
    status: response.statusCode ?? 0,
    text: await text(response),
    retryAfter: response.headers['retry-after'] ?? null,
  }
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(path, error)
  })
  if (!found.isFile()) throw new UsageError(`${path} is not a file. To import from a pipe, use "-".`)
  return found.size
}

/** Returns a file name escaped for a quoted string in a form header. */
function quotable(name: string): string {
  return name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}
