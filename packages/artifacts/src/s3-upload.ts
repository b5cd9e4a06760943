import { createHash, randomUUID } from 'node:crypto'
import { basename } from 'node:path'
import { failPoint } from '@aduana/runtime/fail-points'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { s3ErrorName, withStoreErrors } from './s3-errors.ts'
import { partSize, partsInFlight, splitIntoParts } from './s3-parts.ts'
import { type Stored, StoreError } from './store.ts'

/** The target of an upload. */
export interface S3Target {
  client: S3Client
  Bucket: string
  /** The full key in the bucket. */
  Key: string
  encryption?: string | undefined
}

/**
 * Uploads a stream and hashes it: in one request if it fits into one part, otherwise in parts, some of them concurrently. The
 * key becomes visible when the upload is complete; if the stream or S3 fails, the parts are removed. S3 verifies the SHA-256
 * of every part.
 */
export async function upload(
  target: S3Target,
  source: AsyncIterable<Uint8Array>,
  limits: { maxBytes?: number | undefined; length?: number | undefined } = {},
): Promise<Stored> {
  const hash = createHash('sha256')
  const maxBytes = limits.maxBytes ?? Number.POSITIVE_INFINITY
  let bytes = 0
  const measured = async function* () {
    for await (const chunk of source) {
      bytes += chunk.length
      if (bytes > maxBytes) throw new StoreError('too_large', `The file is larger than ${maxBytes} bytes.`)
      hash.update(chunk)
      yield chunk
    }
  }
  const parts = splitIntoParts(measured(), (part) => partSize(part, limits.length))
  try {
    const first = (await parts.next()).value ?? Buffer.alloc(0)
    const second = await parts.next()
    const sum = second.done
      ? await putWhole(target, first)
      : await putParts(target, [first, second.value], parts)
    const stored = { bytes, sha256: hash.digest('hex') }
    await verify(target, stored, sum)
    await failPoint('artifact.after-rename', basename(target.Key))
    return stored
  } finally {
    await parts.return()
  }
}

/** The expected checksum of the object, and the one that S3 returned, if any. */
interface Sums {
  expected: string
  answered: string | undefined
}

async function putWhole(target: S3Target, body: Buffer): Promise<Sums> {
  const expected = sha256(body)
  await failPoint('artifact.before-rename', basename(target.Key))
  const answer = await withStoreErrors(
    target.client.send(
      new PutObjectCommand({ ...place(target), ...encryption(target), Body: body, ChecksumSHA256: expected }),
    ),
    `Storing ${target.Key}`,
  )
  return { expected, answered: answer.ChecksumSHA256 }
}

interface SentPart {
  PartNumber: number
  ETag: string | undefined
  ChecksumSHA256: string
}

async function putParts(
  target: S3Target,
  head: readonly Buffer[],
  rest: AsyncGenerator<Buffer, void>,
): Promise<Sums> {
  const mark = randomUUID()
  const what = `Storing ${target.Key}`
  const created = await withStoreErrors(
    target.client.send(
      new CreateMultipartUploadCommand({
        ...place(target),
        ...encryption(target),
        ChecksumAlgorithm: 'SHA256',
        Metadata: { upload: mark },
      }),
    ),
    what,
  )
  const UploadId = created.UploadId
  try {
    const sent = await sendParts(target, UploadId, head, rest)
    await failPoint('artifact.before-rename', basename(target.Key))
    const expected = `${sha256(Buffer.concat(sent.map((part) => Buffer.from(part.ChecksumSHA256, 'base64'))))}-${sent.length}`
    return { expected, answered: await complete(target, UploadId, sent, mark) }
  } catch (error) {
    // The lifecycle rule of the bucket removes remaining parts; the first error is reported.
    await withStoreErrors(
      target.client.send(new AbortMultipartUploadCommand({ ...place(target), UploadId })),
      what,
    ).catch(s3ErrorName)
    throw error
  }
}

async function sendParts(
  target: S3Target,
  UploadId: string | undefined,
  head: readonly Buffer[],
  rest: AsyncGenerator<Buffer, void>,
): Promise<SentPart[]> {
  const sent: SentPart[] = []
  const underWay = new Set<Promise<void>>()
  const giveUp = new AbortController()
  const failures: unknown[] = []
  const send = async (PartNumber: number, body: Buffer) => {
    const ChecksumSHA256 = sha256(body)
    const { ETag } = await withStoreErrors(
      target.client.send(
        new UploadPartCommand({ ...place(target), UploadId, PartNumber, Body: body, ChecksumSHA256 }),
        { abortSignal: giveUp.signal },
      ),
      `Storing ${target.Key}`,
    )
    sent.push({ PartNumber, ETag, ChecksumSHA256 })
  }
  const start = async (body: Buffer) => {
    number += 1
    const sending: Promise<void> = send(number, body)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => underWay.delete(sending))
    underWay.add(sending)
    while (underWay.size >= partsInFlight(body.length)) await Promise.race(underWay)
    if (failures.length > 0) throw failures[0]
  }
  let number = 0
  try {
    for (const body of head) await start(body)
    for await (const body of rest) await start(body)
    await Promise.all(underWay)
    if (failures.length > 0) throw failures[0]
  } finally {
    giveUp.abort()
    // A part that arrives after the abort would remain.
    await Promise.all(underWay)
  }
  return sent.sort((one, other) => one.PartNumber - other.PartNumber)
}

async function complete(
  target: S3Target,
  UploadId: string | undefined,
  Parts: readonly SentPart[],
  mark: string,
): Promise<string | undefined> {
  const what = `Storing ${target.Key}`
  try {
    const answer = await withStoreErrors(
      target.client.send(
        new CompleteMultipartUploadCommand({
          ...place(target),
          UploadId,
          MultipartUpload: { Parts: [...Parts] },
        }),
      ),
      what,
    )
    return answer.ChecksumSHA256
  } catch (error) {
    // The first response was lost and the request retried: the upload does not exist because it is complete.
    if (s3ErrorName(error) !== 'NoSuchUpload') throw error
    const found = await withStoreErrors(target.client.send(new HeadObjectCommand(place(target))), what)
    if (found.Metadata?.upload !== mark) throw error
    return undefined
  }
}

/** Compares the stored object with what was sent, and removes it if it differs. */
async function verify(target: S3Target, stored: Stored, sums: Sums): Promise<void> {
  const what = `Storing ${target.Key}`
  const whole = Buffer.from(stored.sha256, 'hex').toString('base64')
  if (sums.answered === sums.expected || sums.answered === whole) return
  if (sums.answered === undefined) {
    const found = await withStoreErrors(target.client.send(new HeadObjectCommand(place(target))), what)
    if (found.ContentLength === stored.bytes) return
  }
  await withStoreErrors(target.client.send(new DeleteObjectCommand(place(target))), what)
  throw new StoreError('unavailable', `${what}: the object arrived damaged and was removed. Try again.`)
}

function place({ Bucket, Key }: S3Target): { Bucket: string; Key: string } {
  return { Bucket, Key }
}

function encryption({ encryption: wanted }: S3Target) {
  if (wanted === undefined) return {}
  return wanted === 'AES256'
    ? { ServerSideEncryption: 'AES256' as const }
    : { ServerSideEncryption: 'aws:kms' as const, SSEKMSKeyId: wanted }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}
