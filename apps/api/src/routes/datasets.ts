import { DatasetDefinition, Identifier } from '@aduana/contracts/dataset-definition'
import { Dataset, DatasetVersion, SavedDataset } from '@aduana/contracts/datasets'
import { page } from '@aduana/contracts/jobs'
import { VersionQuery } from '@aduana/contracts/versions'
import { LedgerDay, LedgerQuery } from '@aduana/contracts/window-ledger'
import {
  findDataset,
  listDatasets,
  type RegisteredDataset,
  readDataset,
  shaOfDefinition,
} from '@aduana/datasets/registry'
import { SHIPPED } from '@aduana/datasets/shipped'
import { readVersions } from '@aduana/jobs/version-pages'
import { readLedger } from '@aduana/jobs/window-ledger'
import { saveDatasetAs } from '@aduana/metrics/commands'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'
import { seenVersion, tagVersion, VersionHeaders } from '../plugins/versions.ts'

const DatasetList = z.strictObject({ items: z.array(Dataset) })
const DatasetParameters = z.strictObject({ code: Identifier })
/** For the document: the code stands in the address, and may be left out of the body. */
const DatasetBody = z.strictObject({ ...DatasetDefinition.shape, code: Identifier.optional() })

/** /api/datasets */
export function datasetRoutes(app: FastifyInstance, context: ApiContext): void {
  readingRoutes(app, context)
  versionRoutes(app, context)
}

function readingRoutes(app: FastifyInstance, { db }: ApiContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()

  typed.get(
    '/api/datasets',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listDatasets',
        summary: 'What can be imported',
        tags: ['datasets'],
        response: { 200: DatasetList, ...problems('unauthenticated', 'token_expired') },
      },
    },
    async () => ({ items: (await listDatasets(db)).map(shown) }),
  )

  typed.get(
    '/api/datasets/:code',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readDataset',
        summary: 'A dataset with its definition, by its code or its id',
        tags: ['datasets'],
        params: z.strictObject({ code: z.string().min(1).max(63) }),
        response: {
          200: Dataset,
          ...problems('bad_request', 'unauthenticated', 'token_expired', 'unknown_dataset'),
        },
      },
    },
    async (request, reply) => {
      const dataset = await findDataset(db, request.params.code)
      tagVersion(reply, dataset)
      return shown(dataset)
    },
  )

  typed.get(
    '/api/datasets/:code/windows',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readWindows',
        summary: 'The window ledger: the state of each day, and the job that owns it',
        description:
          'Every reader gets the same states. `jobId` is null unless the reader may see the job, `rows` unless the reader may see all rows of the day.',
        tags: ['datasets'],
        params: z.strictObject({ code: z.string().min(1).max(63) }),
        querystring: LedgerQuery,
        response: {
          200: z.strictObject({ items: z.array(LedgerDay) }),
          ...problems('bad_request', 'unauthenticated', 'token_expired', 'unknown_dataset', 'bad_window'),
        },
      },
    },
    async (request) => {
      const dataset = await readDataset(db, request.params.code)
      return { items: await readLedger(db, principalOf(request), dataset, request.query) }
    },
  )
}

function versionRoutes(app: FastifyInstance, { db }: ApiContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()

  typed.get(
    '/api/datasets/:code/versions',
    {
      config: { access: 'steward' },
      schema: {
        operationId: 'readDatasetVersions',
        summary: 'The versions of a definition, newest first: when each was written, and by whom',
        tags: ['datasets'],
        params: DatasetParameters,
        querystring: VersionQuery,
        response: {
          200: page(DatasetVersion),
          ...problems('bad_request', 'unauthenticated', 'token_expired', 'forbidden', 'unknown_dataset'),
        },
      },
    },
    async (request) => {
      const { id } = await readDataset(db, request.params.code)
      return readVersions(db, 'dataset_versions', id, DatasetDefinition, request.query)
    },
  )

  typed.put(
    '/api/datasets/:code',
    {
      // The registry says what is wrong with a definition, by the paths of its parts.
      config: { access: 'admin', unchecked: ['body', 'headers'] },
      schema: {
        operationId: 'saveDataset',
        summary:
          'Change a dataset, or add one over a table that is there: the next version of its definition',
        description:
          'Everything that is wrong is listed in `problems`, each with the path of the part. Jobs that are under way keep the version that they were accepted with. Metrics to which the change gives another meaning are computed anew; the same definition again changes nothing.',
        tags: ['datasets'],
        params: DatasetParameters,
        headers: VersionHeaders,
        body: DatasetBody,
        response: {
          200: SavedDataset,
          201: SavedDataset,
          ...problems('bad_request', 'unauthenticated', 'token_expired', 'forbidden'),
          ...problems('dataset_in_use', 'dataset_busy', 'version_changed', 'invalid_dataset'),
        },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const saved = await saveDatasetAs(db, principalOf(request), params.code, body, seenVersion(request))
      tagVersion(reply, saved)
      return reply.status(saved.version === 1 && saved.changed ? 201 : 200).send(saved)
    },
  )
}

const SHIPPED_AS = new Map(SHIPPED.map((definition) => [definition.code, shaOfDefinition(definition)]))

function shown(dataset: RegisteredDataset): Dataset {
  const { id, code, version, definition, createdBy, sha256 } = dataset
  const shipped = SHIPPED_AS.get(code)
  return {
    ...{ id, code, version, title: definition.title, loadMode: definition.loadMode, definition },
    changedBy: createdBy,
    asShipped: shipped === undefined ? null : shipped === sha256,
  }
}
