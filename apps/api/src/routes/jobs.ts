import { Readable } from 'node:stream'
import { Counts } from '@aduana/contracts/counts'
import { JobStatus } from '@aduana/contracts/job-states'
import { Artifact, Job, JobQuery, page } from '@aduana/contracts/jobs'
import { RejectPage } from '@aduana/contracts/rejects'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { findArtifact, listJobs, readJob } from '@aduana/jobs/read/jobs'
import { groupRejects, listRejects } from '@aduana/jobs/read/rejects'
import { openContent } from '@aduana/jobs/read/rejects-of-file'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'

export const JobParameters = z.strictObject({ id: z.uuid() })

const ArtifactParameters = JobParameters.extend({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, 'must be the name of a file of the job, such as rejects.ndjson'),
})

const RejectQuery = z.strictObject({
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
})

/** Bytes in the OpenAPI document. They are streamed, not serialised. */
const FileContent = z.instanceof(Readable).meta({ type: 'string', format: 'binary' })

const Report = z.strictObject({
  jobId: z.uuid(),
  status: JobStatus,
  dataset: z.string().nullable(),
  counts: Counts,
  /**
   * How long its stages worked. The time that it waited for a worker, a window or a person does not count. Null until
   * the job has ended, and when its stage attempts have been removed.
   */
  seconds: z.number().nullable(),
  rowsPerSecond: z.number().nullable(),
  /** The most frequent reasons of the stored rejects. The file has all of them. */
  rejects: z.array(
    z.strictObject({
      column: z.string().nullable(),
      code: z.string(),
      rejects: z.int(),
      example: z.string(),
      /** The line of the reject that the example is of; null where none is kept. */
      line: z.int().nullable(),
    }),
  ),
  artifacts: z.array(Artifact),
  error: Job.shape.error,
})

const COMMON = problems('bad_request', 'unauthenticated', 'token_expired', 'not_found')

/** /api/jobs */
export function jobRoutes(app: FastifyInstance, context: ApiContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { db } = context

  typed.get(
    '/api/jobs',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listJobs',
        summary: 'List your jobs, newest first; for an admin, those of all users',
        tags: ['jobs'],
        querystring: JobQuery,
        response: { 200: page(Job), ...problems('bad_request', 'unauthenticated', 'token_expired') },
      },
    },
    (request) => listJobs(db, principalOf(request), request.query),
  )

  typed.get(
    '/api/jobs/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readJob',
        summary: 'Get a job',
        tags: ['jobs'],
        params: JobParameters,
        response: { 200: Job, ...COMMON },
      },
    },
    (request) => readJob(db, principalOf(request), request.params.id),
  )

  typed.post(
    '/api/jobs/:id/cancel',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'cancelJob',
        summary: 'Cancel a job that has not loaded its rows yet',
        tags: ['jobs'],
        params: JobParameters,
        response: { 200: Job, ...COMMON, ...problems('forbidden', 'illegal_transition') },
      },
    },
    async (request) => {
      const job = await cancelJob(db, principalOf(request), request.params.id)
      // A running job ends later, in a worker, which logs it.
      if (job.status === 'CANCELLED') request.log.info({ event: 'job.cancelled', jobId: job.id })
      return job
    },
  )

  typed.post(
    '/api/jobs/:id/retry',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'retryJob',
        summary: 'Retry a failed job from the stage that failed',
        tags: ['jobs'],
        params: JobParameters,
        response: {
          200: Job,
          ...COMMON,
          ...problems('forbidden', 'illegal_transition', 'already_imported', 'artifact_expired'),
        },
      },
    },
    (request) => retryJob(db, principalOf(request), request.params.id),
  )

  typed.get(
    '/api/jobs/:id/rejects',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listRejects',
        summary: 'List the rejects of a job, also of a dry run, in the order of the file',
        tags: ['jobs'],
        params: JobParameters,
        querystring: RejectQuery,
        response: { 200: RejectPage, ...COMMON, ...problems('artifact_expired') },
      },
    },
    (request) => listRejects(context, principalOf(request), request.params.id, request.query),
  )

  typed.get(
    '/api/jobs/:id/report',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readReport',
        summary: 'Get the report of a job: counts, the most frequent reject reasons, files',
        tags: ['jobs'],
        params: JobParameters,
        response: { 200: Report, ...COMMON },
      },
    },
    async (request) => {
      const job = await readJob(db, principalOf(request), request.params.id)
      const rejects = await groupRejects(context, principalOf(request), job.id)
      const { status, dataset, counts, artifacts, error } = job
      const seconds = secondsAtWork(job)
      const rowsPerSecond = seconds && counts.records ? Math.round(counts.records / seconds) : null
      return { jobId: job.id, status, dataset, counts, seconds, rowsPerSecond, rejects, artifacts, error }
    },
  )

  artifactRoute(app, context)
}

/** /api/jobs/{id}/artifacts/{name}: a file of a stage. */
function artifactRoute(app: FastifyInstance, { db, store }: ApiContext): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/api/jobs/:id/artifacts/:name',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'downloadArtifact',
        summary: 'Download a file of a job',
        tags: ['jobs'],
        params: ArtifactParameters,
        response: {
          200: {
            description: 'The file',
            content: { 'application/octet-stream': { schema: FileContent } },
          },
          304: z.null().describe('The file has not changed since the version in If-None-Match'),
          ...COMMON,
          ...problems('artifact_expired'),
        },
      },
    },
    async (request, reply) => {
      const { id, name } = request.params
      const artifact = await findArtifact(db, principalOf(request), id, name)
      const tag = `"${artifact.sha256}"`
      reply.header('etag', tag)
      if (request.headers['if-none-match'] === tag) return reply.status(304).send(null)
      const content = await openContent(store, artifact)
      reply.headers({
        'content-type': artifact.mediaType,
        'content-length': artifact.bytes,
        'content-disposition': attachment(artifact.fileName),
      })
      return reply.send(content)
    },
  )
}

/** Returns a Content-Disposition header with the file name, whatever characters it has (RFC 6266). */
export function attachment(fileName: string): string {
  const ascii =
    fileName
      .normalize('NFKD')
      .replace(/[^\x20-\x7e]/g, '')
      .replace(/["\\%/]/g, '_') || 'file'
  const encoded = encodeURIComponent(fileName.replace(/\p{Cs}/gu, '')).replace(
    /['()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`
}

/** Returns the attempts that ended, without lost ones, whose working time is unknown, and parked ones, which waited. */
function secondsAtWork({ completedAt, attempts }: Job): number | null {
  if (completedAt === null) return null
  const milliseconds = attempts.flatMap(({ state, startedAt, finishedAt }) =>
    finishedAt === null || (state !== 'done' && state !== 'failed')
      ? []
      : [Date.parse(finishedAt) - Date.parse(startedAt)],
  )
  return milliseconds.length === 0 ? null : milliseconds.reduce((sum, more) => sum + more, 0) / 1000
}
