import { createHash } from 'node:crypto'
import { Readable, Transform, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import type { Artifact } from '@aduana/contracts/jobs'
import { z } from 'zod'
import { ConnectionError } from '../errors.ts'
import { type Api, authorization, connectionProblem, parseResponse } from './api.ts'

/** An open download of a file of a job. */
export interface Download {
  /** The file name in the response, without folders. */
  fileName: string
  /**
   * Writes it to a stream, which is ended unless `keepOpen`. @throws ConnectionError when the connection breaks or the content
   * is damaged, and the errors of the stream
   */
  receive(sink: Writable, options?: { keepOpen?: boolean }): Promise<void>
  /** Cancels the download. */
  discard(): void
}

/** Opens the download of a file of a job. @throws ApiProblem, ConnectionError */
export async function openDownload(api: Api, jobId: string, artifact: Artifact): Promise<Download> {
  const path = `/api/jobs/${encodeURIComponent(jobId)}/artifacts/${encodeURIComponent(artifact.name)}`
  const answer = await fetch(`${api.url}${path}`, {
    headers: authorization(api),
    signal: api.signal,
  }).catch((error: unknown) => {
    throw connectionProblem(api, error)
  })
  if (answer.status !== 200 || !answer.body)
    return parseResponse(
      api,
      z.never(),
      answer.status,
      await answer.text(),
      answer.headers.get('retry-after'),
    )
  const body = Readable.fromWeb(answer.body as ReadableStream)
  return {
    fileName: offeredName(answer.headers.get('content-disposition')) ?? artifact.name,
    receive: async (sink, { keepOpen = false } = {}) => {
      try {
        await pipeline(body, checked(artifact), sink, { end: !keepOpen })
      } catch (error) {
        throw isOfFile(error) ? error : connectionProblem(api, error)
      }
    },
    discard: () => void body.destroy(),
  }
}

/** Returns true for an error of the written file, not of the connection. */
export function isOfFile(error: unknown): error is NodeJS.ErrnoException {
  const calls = ['open', 'write', 'link', 'rename']
  return error instanceof Error && 'syscall' in error && calls.includes(String(error.syscall))
}

/** Returns a stream that passes the file on and fails at its end if the checksum differs. */
function checked({ name, sha256 }: Artifact): Transform {
  const hash = createHash('sha256')
  return new Transform({
    transform: (part: Buffer, _, done) => {
      hash.update(part)
      done(null, part)
    },
    flush: (done) => {
      const arrived = hash.digest('hex') === sha256
      done(
        arrived ? null : new ConnectionError(`${name} was damaged during the download. Download it again.`),
      )
    },
  })
}

/** Returns the file name of a Content-Disposition header (RFC 6266), without folders; undefined without one. */
export function offeredName(disposition: string | null): string | undefined {
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? '')?.[1]
  if (encoded === undefined) return undefined
  const name = decodeURIComponent(encoded).replace(/[/\\\p{Cc}\p{Cf}]/gu, '_')
  return /^\.*$/.test(name) ? undefined : name
}
