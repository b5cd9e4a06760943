import { artifactKey } from '@aduana/artifacts/store'
import { counted } from '@aduana/contracts/figures'
import type { ImportAccepted } from '@aduana/contracts/jobs'
import { ProblemError } from '@aduana/contracts/problems'
import { readDataset } from '@aduana/datasets/registry'
import { acceptImport, newJobId, wasAccepted } from '@aduana/jobs/accept/accept-import'
import { type IdempotentResult, isKeyUsed } from '@aduana/jobs/accept/idempotency'
import { ensureQueueCapacity, type QueueLimits } from '@aduana/jobs/accept/queue-capacity'
import { ensureQuota } from '@aduana/jobs/retention/stored-bytes'
import type { ApiSettings } from '@aduana/runtime/config'
import { failPoint } from '@aduana/runtime/fail-points'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { idempotencyKey, repeatable } from '../plugins/idempotency.ts'
import { discardRest } from './discard.ts'
import { receiveUpload } from './receive.ts'

// Maximum size of a form without its file.
const FORM_BYTES = 1024 * 1024

/** Handles an upload; `dataset` is the default if the form names none. Returns the accepted import. @throws ProblemError */
export type UploadHandler = (
  request: FastifyRequest,
  dataset?: string,
) => Promise<IdempotentResult<ImportAccepted>>

/**
 * Returns the upload handler of an application. The application does not close before open uploads have cleaned up. Uploads
 * that are still arriving when `stopping` is aborted are refused with its reason.
 */
export function createUploadHandler(
  app: FastifyInstance,
  context: ApiContext,
  stopping: AbortSignal,
): UploadHandler {
  const pending = new Set<Promise<unknown>>()
  app.addHook('onClose', async () => {
    await Promise.allSettled(pending)
  })
  return async (request, dataset) => {
    const handling = handleUpload(context, request, stopping, dataset)
    pending.add(handling)
    try {
      return await handling
    } finally {
      pending.delete(handling)
    }
  }
}

/**
 * Receives the file of an upload and accepts the import. If it is refused, or replays an accepted one, its file is removed.
 */
async function handleUpload(
  context: ApiContext,
  request: FastifyRequest,
  stopping: AbortSignal,
  dataset: string | undefined,
): Promise<IdempotentResult<ImportAccepted>> {
  const { db, store, settings } = context
  const maxBytes = settings.MAX_FILE_SIZE
  const limits = queueLimits(settings)
  const quota = { maxKeptBytesPerTenant: settings.ADUANA_MAX_KEPT_BYTES_PER_TENANT }
  const principal = principalOf(request)
  const jobId = newJobId()
  const key = artifactKey(jobId, 'accept', 0, 'original')
  try {
    assertAcceptable(request, maxBytes)
    if (!(await isReplay(context, request))) {
      await ensureQueueCapacity(db, limits, principal.tenant)
      await ensureQuota(db, quota, { tenant: principal.tenant, bytes: minimumFileBytes(request) })
    }
    const upload = await receiveUpload(request, {
      store,
      key,
      maxBytes,
      signal: AbortSignal.any([stopping, idleSignal(request, settings.ADUANA_IDLE_SECONDS)]),
      ...(dataset === undefined ? {} : { dataset }),
      checkDataset: (code) => readDataset(db, code),
    })
    const { form, ...file } = upload
    await failPoint('accept.after-store')
    const again = repeatable(request, { ...form, file: file.stored.sha256 })
    return await acceptOrRemove(context, { key, jobId }, () =>
      acceptImport({ db, ...limits, ...quota }, principal, { jobId, key, ...file }, form, again),
    )
  } catch (error) {
    discardRest(request.raw)
    throw error
  }
}

/** Returns a signal that is aborted when the connection of a request is idle. */
function idleSignal(request: FastifyRequest, seconds: number): AbortSignal {
  const idle = new AbortController()
  // With a listener, Node does not close the connection itself.
  request.raw.once('timeout', () => {
    const detail = `No data arrived for ${counted(seconds, 'second')}. Nothing was stored. Send the file again.`
    idle.abort(new ProblemError('upload_idle', detail, { seconds }))
  })
  return idle.signal
}

/** Returns the maximum number of waiting jobs, in total and of one tenant. */
export function queueLimits(settings: ApiSettings): QueueLimits {
  const maxQueued = settings.ADUANA_MAX_QUEUED
  const share = Math.max(1, Math.floor(maxQueued * 0.8))
  return { maxQueued, maxQueuedPerTenant: settings.ADUANA_MAX_QUEUED_PER_TENANT ?? share }
}

/** Returns true if the idempotency key is known, so that no job is created. @throws ProblemError when the key is invalid */
async function isReplay({ db }: ApiContext, request: FastifyRequest): Promise<boolean> {
  const key = idempotencyKey(request)
  return key !== undefined && (await isKeyUsed(db, { userId: principalOf(request).userId, key }))
}

/** Refuses uploads that can be judged by their headers. @throws ProblemError */
function assertAcceptable(request: FastifyRequest, maxBytes: number): void {
  if (!request.isMultipart())
    throw new ProblemError('not_multipart', 'Send multipart/form-data with the fields "dataset" and "file".')
  if (minimumFileBytes(request) > maxBytes)
    throw new ProblemError(
      'file_too_large',
      `The file is larger than the limit of ${counted(maxBytes, 'byte')}. Split it, or compress it with gzip.`,
      {
        maxBytes,
      },
    )
}

/** Returns the minimum size of the file, in bytes, by Content-Length. */
function minimumFileBytes(request: FastifyRequest): number {
  return Math.max(0, Number(request.headers['content-length'] ?? 0) - FORM_BYTES)
}

/**
 * Accepts the import. After a refusal and after a replay the file is removed. After an error that leaves open whether the job
 * was accepted, it is kept if the job exists or that is unknown; housekeeping removes files without a job.
 */
async function acceptOrRemove(
  { db, store }: ApiContext,
  { key, jobId }: { key: string; jobId: string },
  accept: () => Promise<IdempotentResult<ImportAccepted>>,
): Promise<IdempotentResult<ImportAccepted>> {
  try {
    const accepted = await accept()
    if (accepted.replayed) await store.remove(key)
    return accepted
  } catch (error) {
    if (!(error instanceof ProblemError) && (await wasAccepted(db, jobId)))
      return { status: 202, body: { id: jobId, status: 'QUEUED' }, replayed: false }
    await store.remove(key)
    throw error
  }
}
