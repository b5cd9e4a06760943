import { artifactKey } from '@aduana/artifacts/store'
import type { ImportAccepted } from '@aduana/contracts/jobs'
import { ProblemError } from '@aduana/contracts/problems'
import { readDataset } from '@aduana/datasets/registry'
import { acceptImport, ensureRoom, newJobId } from '@aduana/jobs/accept'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { discardRest } from './discard.ts'
import { receiveUpload } from './receive.ts'

// What a form may weigh besides its file.
const FORM_BYTES = 1024 * 1024

/** Takes the import that a request brings, into `dataset` when its form does not name one. @throws ProblemError */
export type TakeImport = (request: FastifyRequest, dataset?: string) => Promise<ImportAccepted>

/** Imports for one application: it does not end before those under way have cleaned up. */
export function importTaker(app: FastifyInstance, context: ApiContext): TakeImport {
  const underWay = new Set<Promise<unknown>>()
  app.addHook('onClose', async () => {
    await Promise.allSettled(underWay)
  })
  return async (request, dataset) => {
    const taking = takeImport(context, request, dataset)
    underWay.add(taking)
    try {
      return await taking
    } finally {
      underWay.delete(taking)
    }
  }
}

/**
 * Take the import that a request brings: receive its file, then have it accepted. When it is refused nothing of it
 * stays behind.
 */
async function takeImport(
  context: ApiContext,
  request: FastifyRequest,
  dataset: string | undefined,
): Promise<ImportAccepted> {
  const { db, store, settings } = context
  const maxBytes = settings.MAX_FILE_SIZE
  const maxQueued = settings.ADUANA_MAX_QUEUED
  const jobId = newJobId()
  const key = artifactKey(jobId, 'accept', 0, 'original')
  try {
    refuseHopeless(request, maxBytes)
    await ensureRoom(db, maxQueued)
    const upload = await receiveUpload(request, {
      store,
      key,
      maxBytes,
      ...(dataset === undefined ? {} : { dataset }),
      checkDataset: (code) => readDataset(db, code),
    })
    const { form, ...file } = upload
    return await acceptOrRemove(context, { key, jobId }, () =>
      acceptImport({ db, maxQueued }, principalOf(request), { jobId, key, ...file }, form),
    )
  } catch (error) {
    discardRest(request.raw)
    throw error
  }
}

/** What needs no look at the body. */
function refuseHopeless(request: FastifyRequest, maxBytes: number): void {
  if (!request.isMultipart())
    throw new ProblemError('not_multipart', 'Send multipart/form-data with the fields "dataset" and "file".')
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > maxBytes + FORM_BYTES)
    throw new ProblemError(
      'file_too_large',
      `The file is larger than ${maxBytes} bytes, which is the limit.`,
      {
        maxBytes,
      },
    )
}

/** After an error that leaves open whether the job was accepted, the file stays if the job is there. */
async function acceptOrRemove(
  { db, store }: ApiContext,
  { key, jobId }: { key: string; jobId: string },
  accept: () => Promise<ImportAccepted>,
): Promise<ImportAccepted> {
  try {
    return await accept()
  } catch (error) {
    const job = await db.selectFrom('jobs').select('id').where('id', '=', jobId).executeTakeFirst()
    if (job) return { id: jobId, status: 'QUEUED' }
    await store.remove(key)
    throw error
  }
}
