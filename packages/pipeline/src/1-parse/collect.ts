import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { ExternalFiles } from '@aduana/artifacts/external-files'
import { StoreError } from '@aduana/artifacts/store'
import { problemText, readInput } from '@aduana/contracts/input-problems'
import {
  type AnnouncedManifest,
  MAX_MANIFEST_BYTES,
  ResultManifest,
} from '@aduana/contracts/metrics/manifest'
import { EngineError } from '@aduana/engine/errors'
import { unpackGzip } from '@aduana/engine/gzip'
import { MAX_UNPACK_RATIO, mostUnpackedBytes } from '@aduana/engine/source'
import { RefusedError } from '../failure.ts'
import type { StageJob } from '../stage.ts'

/** The files collected for an import whose data lies in external storage. */
export interface Collected {
  /** All files joined into one. */
  original: string
  /** Size of the original. */
  bytes: number
  manifest: string
}

/**
 * Collects the files that a manifest lists and joins them into one original. Verifies the checksum and the size
 * announced for each file before using any of its bytes.
 * @throws RefusedError `manifest_invalid`, `checksum_mismatch`, `source_refused`
 */
export async function collect(job: StageJob, announced: AnnouncedManifest): Promise<Collected> {
  const files = outsideOf(job)
  const manifestPath = join(job.folder, 'manifest.json')
  job.report({ fraction: 0, message: 'Collecting the results' })
  const said = { sha256: announced.sha256, mostBytes: MAX_MANIFEST_BYTES }
  await download(files, announced.url, manifestPath, said, job.signal)
  const manifest = await readManifest(manifestPath, announced, job.facts.expectedRecords)
  const original = join(job.folder, 'original')
  let collected = 0
  let unpacked = 0
  for (const [index, file] of manifest.files.entries()) {
    const part = join(job.folder, `part-${index}`)
    const { sha256, bytes } = file
    await download(files, file.url, part, { sha256, bytes, mostBytes: bytes }, job.signal)
    unpacked += await append(part, original, { first: index === 0, url: file.url, job, unpacked })
    await rm(part)
    collected += 1
    job.report({ fraction: collected / manifest.files.length / 4, message: 'Collecting the results' })
  }
  return { original, bytes: (await stat(original)).size, manifest: manifestPath }
}

function outsideOf({ context, facts }: StageJob): ExternalFiles {
  if (context.outside) return context.outside
  throw new RefusedError({
    code: 'source_refused',
    detail: `The results are at ${facts.manifest?.url ?? 'S3'}, but this worker has no region configured. Set AWS_REGION and retry the run.`,
  })
}

async function download(
  files: ExternalFiles,
  url: string,
  path: string,
  expected: Expected,
  signal: AbortSignal,
): Promise<void> {
  try {
    const verified = (source: AsyncIterable<Buffer>) => readVerified(source, url, expected)
    await pipeline(await files.open(url), verified, createWriteStream(path), { signal })
  } catch (error) {
    if (!(error instanceof StoreError) || error.code === 'unavailable') throw error
    throw new RefusedError({ code: 'source_refused', detail: `${url} cannot be read. ${error.message}` })
  }
}

/** What was announced about a file. */
interface Expected {
  /** Lower-case hexadecimal. */
  sha256: string
  bytes?: number
  /** Maximum number of bytes to read. */
  mostBytes: number
}

/** Yields the bytes of a file. Throws at the end of the stream if they differ from what was announced. */
async function* readVerified(
  source: AsyncIterable<Buffer>,
  url: string,
  { sha256, bytes, mostBytes }: Expected,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let read = 0
  for await (const chunk of source) {
    read += chunk.length
    if (read > mostBytes) throw notAsAnnounced(url, `it has more than ${mostBytes} bytes`)
    hash.update(chunk)
    yield chunk
  }
  if (bytes !== undefined && read !== bytes)
    throw notAsAnnounced(url, `it has ${read} bytes instead of ${bytes}`)
  const found = hash.digest('hex')
  if (found !== sha256) throw notAsAnnounced(url, `its SHA-256 is ${found} instead of ${sha256}`)
}

function notAsAnnounced(url: string, what: string): RefusedError {
  return new RefusedError({
    code: 'checksum_mismatch',
    detail: `${url} differs from what was announced: ${what}. Nothing was changed. Write the file again and complete a new attempt of the run.`,
  })
}

async function readManifest(
  path: string,
  announced: AnnouncedManifest,
  rowCount: number | null,
): Promise<ResultManifest> {
  const read = readInput(ResultManifest, await readJson(path, announced.url))
  if (read.problems) throw invalid(announced.url, problemText(read.problems, 'The manifest'))
  const manifest = read.data
  const differs = (['runId', 'attempt', 'metric'] as const).filter(
    (name) => manifest[name] !== announced[name],
  )
  if (differs.length > 0)
    throw invalid(
      announced.url,
      differs.map((name) => `${name} is ${manifest[name]}, but ${announced[name]} was announced.`).join(' '),
    )
  const rows = manifest.files.reduce((sum, file) => sum + file.rows, 0)
  if (rows !== manifest.rowCount || (rowCount !== null && rows !== rowCount))
    throw invalid(
      announced.url,
      rowCount === null
        ? `The files have ${rows} rows, but the rowCount of the manifest is ${manifest.rowCount}. Both must be equal.`
        : `The files have ${rows} rows, the rowCount of the manifest is ${manifest.rowCount}, and ${rowCount} rows were announced. The three numbers must be equal.`,
    )
  return manifest
}

async function readJson(path: string, url: string): Promise<unknown> {
  const parts: Buffer[] = []
  for await (const part of createReadStream(path)) parts.push(part)
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch (error) {
    throw invalid(url, `It is not JSON: ${error instanceof Error ? error.message : String(error)}.`)
  }
}

function invalid(url: string, what: string): RefusedError {
  return new RefusedError({
    code: 'manifest_invalid',
    detail: `The manifest ${url} is not usable. ${what} Nothing was changed. Correct the manifest and complete a new attempt of the run.`,
  })
}

interface Appending {
  first: boolean
  url: string
  job: StageJob
  /** Total size of the files before this one. */
  unpacked: number
}

/**
 * Appends a file to the original, unpacked, without its header unless it is the first. Returns the number of bytes
 * appended.
 */
async function append(part: string, original: string, appending: Appending): Promise<number> {
  const { first, url, job, unpacked } = appending
  let bytes = 0
  const limit = job.context.maxUnpackedBytes
  const format = (await isGzip(part)) ? 'gzip' : 'plain'
  const most = mostUnpackedBytes(format, (await stat(part)).size)
  async function* counted(source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      bytes += chunk.length
      if (bytes > most)
        throw new RefusedError({
          code: 'unreadable_file',
          detail: `${url} unpacks to more than ${MAX_UNPACK_RATIO} times its size. Nothing was changed. Write the file without compression and complete a new attempt of the run.`,
        })
      if (unpacked + bytes > limit)
        throw new RefusedError({
          code: 'unreadable_file',
          detail: `The results unpack to more than ${limit} bytes. Nothing was changed. Write fewer values, or ask an administrator to raise ADUANA_MAX_UNPACKED_SIZE.`,
        })
      yield chunk
    }
  }
  const rows = withoutHeader({ header: first ? undefined : await headerOf(original), url })
  const source = format === 'gzip' ? unpackGzip(part) : createReadStream(part)
  const target = createWriteStream(original, { flags: first ? 'w' : 'a' })
  const until = { signal: job.signal }
  await pipeline(source, counted, rows, target, until).catch(assertComplete(url))
  return bytes
}

/** Fails the import for good: a file with the announced checksum can never be unpacked. */
function assertComplete(url: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof EngineError && error.code === 'bad_input')) throw error
    throw new RefusedError({
      code: 'unreadable_file',
      detail: `${url} cannot be unpacked: ${error.message}. Nothing was changed. Write the file again and complete a new attempt of the run.`,
    })
  }
}

const NEWLINE = 0x0a

/**
 * Returns a stream transform that removes the first line of a file, which must equal `header`, so that the rest can be
 * appended to another file. Without `header` it removes nothing. Its output always ends with a line break.
 */
function withoutHeader({
  header,
  url,
}: {
  header: string | undefined
  url: string
}): (source: AsyncIterable<Buffer>) => AsyncGenerator<Buffer> {
  return async function* rows(source) {
    let begun: Buffer | undefined = header === undefined ? undefined : Buffer.alloc(0)
    let last = NEWLINE
    for await (const chunk of source) {
      const piece: Buffer = begun === undefined ? chunk : Buffer.concat([begun, chunk])
      const end: number = begun === undefined ? -1 : piece.indexOf(NEWLINE)
      if (begun !== undefined && end < 0) {
        begun = piece
        continue
      }
      if (begun !== undefined) assertSameFile(piece.subarray(0, end).toString('utf8'), header ?? '', url)
      begun = undefined
      const rest = piece.subarray(end + 1)
      if (rest.length === 0) continue
      last = rest.at(-1) ?? last
      yield rest
    }
    if (begun !== undefined && begun.length > 0) assertSameFile(begun.toString('utf8'), header ?? '', url)
    if (last !== NEWLINE) yield Buffer.from('\n')
  }
}

function assertSameFile(found: string, header: string, url: string): void {
  if (plain(found) === plain(header)) return
  throw new RefusedError({
    code: 'manifest_invalid',
    detail: `${url} has the header "${plain(found).slice(0, 200)}", but the first file has "${plain(header).slice(0, 200)}". Nothing was changed. Write all files of the manifest with the same header and complete a new attempt of the run.`,
  })
}

function plain(line: string): string {
  return line.replace(/^\uFEFF/, '').replace(/\r$/, '')
}

async function headerOf(path: string): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of createReadStream(path, { end: 64 * 1024 })) parts.push(part)
  return Buffer.concat(parts).toString('utf8').split('\n', 1)[0] ?? ''
}

async function isGzip(path: string): Promise<boolean> {
  for await (const part of createReadStream(path, { end: 1 }))
    return Buffer.isBuffer(part) && part[0] === 0x1f && part[1] === 0x8b
  return false
}
