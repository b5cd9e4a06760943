import { createHash } from 'node:crypto'
import { Readable, Transform, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import type { Artifact } from '@aduana/contracts/jobs'
import { z } from 'zod'
import { ConnectionError } from '../errors.ts'
import { type Api, authorization, connectionProblem, parseResponse } from './api.ts'

/** A file of a job that is ready to be received. */
export interface Download {
  /** The name under which the API offers it, without folders. */
  fileName: string
  /**
   * Write it to a stream, and end that unless `keepOpen`. @throws ConnectionError when it breaks off, or what arrived
   * differs from what is stored; and what the stream throws
   */
  receive(sink: Writable, options?: { keepOpen?: boolean }): Promise<void>
  /** Receive nothing of it. */
  discard(): void
}

/** Ask for a file of a job. @throws ApiProblem, ConnectionError */
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

/** An error of the file that is written, not of the connection. */
export function isOfFile(error: unknown): error is NodeJS.ErrnoException {
  const calls = ['open', 'write', 'link', 'rename']
  return error instanceof Error && 'syscall' in error && calls.includes(String(error.syscall))
}

/** Passes a file on, and fails at its end when it is not the one that is stored. */
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

/** The name of a Content-Disposition (RFC 6266), as a name in one folder; undefined without one. */
export function offeredName(disposition: string | null): string | undefined {
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? '')?.[1]
  if (encoded === undefined) return undefined
  const name = decodeURIComponent(encoded).replace(/[/\\\p{Cc}\p{Cf}]/gu, '_')
  return /^\.*$/.test(name) ? undefined : name
}
