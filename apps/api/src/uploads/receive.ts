import type { ArtifactStore, Stored } from '@aduana/artifacts/store'
import { StoreError } from '@aduana/artifacts/store'
import { counted } from '@aduana/contracts/figures'
import { problemText, readInput } from '@aduana/contracts/input-problems'
import { ImportForm } from '@aduana/contracts/jobs'
import { ProblemError } from '@aduana/contracts/problems'
import { STORABLE_TEXT_RULE, unstorableParts } from '@aduana/contracts/text'
import { replaceUnstorable } from '@aduana/db/jsonb'
import { recogniseBytes } from '@aduana/engine/recognise'
import type { Multipart, MultipartFile } from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import { duplicateValue } from '../plugins/single-values.ts'

// Enough to detect the type of a file, small enough to buffer.
const HEAD_BYTES = 64 * 1024

export interface UploadOptions {
  store: ArtifactStore
  key: string
  /** Maximum size of the file in bytes. A larger one is refused. */
  maxBytes: number
  /** Aborted, with a problem as its reason, when the upload must end. */
  signal: AbortSignal
  /** The default if the form names no dataset. */
  dataset?: string
  /** Rejects with a ProblemError if the dataset does not exist. Called as soon as the form has named it. */
  checkDataset(code: string): Promise<unknown>
}

/** A complete upload: the stored file and its form. */
export interface ReceivedUpload {
  stored: Stored
  fileName: string
  mediaType: string
  form: ImportForm
}

/**
 * Receives a multipart import: streams its file of any size into the store and hashes it. Fields may come before or after the
 * file. The key exists in the store only after the whole request has arrived and its form is valid.
 * @throws ProblemError, StoreError; the rest of the request is then unread
 */
export async function receiveUpload(
  request: FastifyRequest,
  options: UploadOptions,
): Promise<ReceivedUpload> {
  const parts = readParts(request, options.maxBytes)
  const fields: Fields = { values: new Map(), names: new Set() }
  const file = await readFields(parts, fields, options.signal)
  if (!file) throw missing('file', fields)
  const dataset = fields.values.get('dataset') ?? options.dataset
  const chunks = readChunks(file.file, options.maxBytes)
  // Destroyed instead of awaited: a reader of the file must get the error from the file.
  const stop = () => void file.file.destroy(options.signal.reason)
  options.signal.addEventListener('abort', stop)
  try {
    if (dataset !== undefined) await options.checkDataset(dataset)
    const head = await readHead(chunks, file.filename)
    let form: ImportForm | undefined
    const content = async function* () {
      yield* head
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
      if (file.file.truncated) throw tooLarge(options.maxBytes)
      if (await readFields(parts, fields, options.signal))
        throw new ProblemError(
          'bad_request',
          'The form has more than one file. Send one import for each file.',
        )
      form = parseForm(fields, options.dataset)
    }
    const stored = await options.store.put(options.key, content(), { maxBytes: options.maxBytes })
    if (!form) throw new Error('the store did not read the upload to its end')
    return { stored, fileName: plainName(file.filename), mediaType: plainMediaType(file.mimetype), form }
  } catch (error) {
    throw error instanceof StoreError && error.code === 'too_large' ? tooLarge(options.maxBytes) : error
  } finally {
    options.signal.removeEventListener('abort', stop)
    await chunks.return()
  }
}

/** Yields the parts of the request; a parser error becomes a problem. */
async function* readParts(request: FastifyRequest, maxBytes: number): AsyncGenerator<Multipart, void> {
  try {
    yield* request.parts({
      limits: {
        fileSize: maxBytes + 1,
        files: 2,
        fields: 40,
        parts: 50,
        fieldSize: 8192,
        fieldNameSize: 100,
      },
    })
  } catch (error) {
    throw parserProblem(error, maxBytes)
  }
}

/** Yields the bytes of a file; a parser error becomes a problem. */
async function* readChunks(file: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer, void> {
  try {
    yield* file
  } catch (error) {
    throw parserProblem(error, maxBytes)
  }
}

/** The fields of a form with a value, and the names of all fields. */
interface Fields {
  values: Map<string, string>
  names: Set<string>
}

/** Reads fields up to the next file and returns it; undefined at the end of the form. */
async function readFields(
  parts: AsyncGenerator<Multipart, void>,
  fields: Fields,
  signal: AbortSignal,
): Promise<MultipartFile | undefined> {
  // Not for…of, because leaving the loop would end the parts.
  const following = () => unlessAborted(parts.next(), signal)
  for (let next = await following(); !next.done; next = await following()) {
    const part = next.value
    if (part.type === 'file') {
      if (part.fieldname === 'file') return part
      throw new ProblemError(
        'bad_request',
        `The field "${part.fieldname}" is a file. Send the file as the field "file".`,
      )
    }
    if (part.valueTruncated)
      throw new ProblemError(
        'bad_request',
        `The field "${part.fieldname}" is longer than 8192 bytes. Shorten it.`,
      )
    // A part with a JSON content type arrives parsed.
    if (typeof part.value === 'object')
      throw new ProblemError(
        'bad_request',
        `The field "${replaceUnstorable(part.fieldname)}" is not text. Send it without a content type.`,
      )
    const value = String(part.value)
    if (unstorableParts([part.fieldname, value]).length > 0) throw unstorable(part.fieldname)
    if (fields.names.has(part.fieldname)) throw duplicateValue('field', part.fieldname)
    fields.names.add(part.fieldname)
    // Forms also send empty fields.
    if (value !== '') fields.values.set(part.fieldname, value)
  }
  return undefined
}

/** Returns the first bytes of the file, if its type can be imported. @throws ProblemError otherwise */
async function readHead(chunks: AsyncIterator<Buffer>, name: string): Promise<Buffer[]> {
  const head: Buffer[] = []
  let length = 0
  let complete = false
  while (length < HEAD_BYTES && !complete) {
    const next = await chunks.next()
    if (next.done) complete = true
    else {
      head.push(next.value)
      length += next.value.length
    }
  }
  const found = recogniseBytes(Buffer.concat(head), complete)
  if (found.kind === 'empty')
    throw new ProblemError(
      'empty_file',
      `The file "${plainName(name)}" is empty. Send a file with at least a header row.`,
    )
  if (found.kind === 'unsupported')
    throw new ProblemError(
      'unsupported_type',
      `The file "${plainName(name)}" is ${found.found}, judging by its content. Send delimited text (CSV, TSV), which may be compressed with gzip.`,
      { found: found.found },
    )
  return head
}

/** `dataset` is the one in the path. */
function parseForm(fields: Fields, dataset: string | undefined): ImportForm {
  const named = fields.values.get('dataset')
  if (dataset !== undefined && named !== undefined && named !== dataset)
    throw new ProblemError(
      'bad_request',
      `This endpoint imports into the dataset "${dataset}", but the form names "${replaceUnstorable(named)}". Omit the field "dataset", or send the file to /api/imports.`,
    )
  const read = readInput(ImportForm, {
    ...(dataset === undefined ? {} : { dataset }),
    ...Object.fromEntries(fields.values),
  })
  if (!read.problems) return read.data
  const { problems: errors } = read
  if ((named ?? dataset) !== undefined)
    throw new ProblemError('bad_request', problemText(errors, 'The form'), { errors })
  const { message, extra } = missing('dataset', fields)
  const others = problemText(
    errors.filter(({ field }) => field !== 'dataset'),
    'The form',
  )
  throw new ProblemError('missing_field', `${message} ${others}`.trim(), { ...extra, errors })
}

function missing(field: 'file' | 'dataset', { values }: Fields): ProblemError {
  const hint =
    field === 'dataset'
      ? 'Send the code of a dataset in this field.'
      : values.has('file')
        ? 'The field "file" is text. Send it with a file name.'
        : 'Send the file in this field.'
  return new ProblemError('missing_field', `The field "${field}" is missing from the form. ${hint}`, {
    field,
  })
}

function tooLarge(maxBytes: number): ProblemError {
  return new ProblemError(
    'file_too_large',
    `The file is larger than the limit of ${counted(maxBytes, 'byte')}. Split it, or compress it with gzip.`,
    {
      maxBytes,
    },
  )
}

/** Returns the result of `work`, unless the signal is aborted first. @throws the reason of the signal */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: () => void = () => undefined
  const end = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
  })
  try {
    return await Promise.race([work, end])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Returns the problem for an upload that is still under way when the API stops. */
export function serviceStopping(): ProblemError {
  return new ProblemError(
    'unavailable',
    'The service is restarting. Nothing was stored. Send the file again in a moment.',
    {
      retryAfterSeconds: 5,
    },
  )
}

function unstorable(field: string): ProblemError {
  const shown = replaceUnstorable(field)
  return new ProblemError('bad_request', `"${shown}" ${STORABLE_TEXT_RULE}.`, {
    errors: [{ field: shown, message: STORABLE_TEXT_RULE }],
  })
}

/** Returns the problem for a parser error: every such error means that the form is malformed. */
function parserProblem(error: unknown, maxBytes: number): unknown {
  if (error instanceof ProblemError || !(error instanceof Error)) return error
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'FST_REQ_FILE_TOO_LARGE') return tooLarge(maxBytes)
  if (/^FST_(PARTS|FILES|FIELDS)_LIMIT$/.test(code))
    return new ProblemError(
      'bad_request',
      'The form has more than 50 parts. Send only the documented fields.',
    )
  if (/unexpected end|terminated early|premature|aborted|closed before/i.test(error.message))
    return new ProblemError(
      'upload_truncated',
      'The upload ended before it was complete. Nothing was stored. Send the file again.',
    )
  return new ProblemError('bad_request', `The form is malformed: ${error.message}.`)
}

/** Returns a file name without folders and control characters. It is only displayed, never used as a path. */
function plainName(name: string): string {
  const last = name.split(/[\\/]/).at(-1) ?? ''
  const plain = last.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '').trim()
  // Cut by code points: an unpaired surrogate cannot be stored.
  return [...plain].slice(0, 200).join('') || 'file'
}

function plainMediaType(type: string): string {
  return /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/.test(type) ? type.toLowerCase() : 'application/octet-stream'
}
