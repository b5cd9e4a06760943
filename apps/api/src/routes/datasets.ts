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
import { saveDatasetAs } from '@aduana/datasets/save/save-dataset'
import { SHIPPED } from '@aduana/datasets/shipped'
import { readVersions } from '@aduana/jobs/read/version-pages'
import { readLedger } from '@aduana/jobs/windows/ledger'
import { DATASET_DEPENDENTS } from '@aduana/metrics/registry/dataset-dependents'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'
import { seenVersion, tagVersion, VersionHeaders } from '../plugins/versions.ts'

const DatasetList = z.strictObject({ items: z.array(Dataset) })
const DatasetParameters = z.strictObject({ code: Identifier })
/** For the OpenAPI document: the code is part of the path and optional in the body. */
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
        summary: 'List the datasets',
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
        summary: 'Get a dataset with its definition, by its code or id',
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
        summary: 'Get the window ledger: the state of each day, and the job that owns it',
        description:
          'The states are the same for every user. `jobId` is null unless you may see the job, `rows` unless you may see all rows of the day.',
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
        summary: 'List the versions of a definition, newest first, with their time and author',
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
      // The registry validates the definition and reports problems by path.
      config: { access: 'admin', unchecked: ['body', 'headers'] },
      schema: {
        operationId: 'saveDataset',
        summary:
          'Create a dataset for an existing table, or change one: writes the next version of its definition',
        description:
          '`problems` lists everything that is wrong, each with the path of the part. Open jobs keep the version that they were accepted with. Metrics whose meaning changes are recomputed. Saving the same definition again changes nothing.',
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
      const saved = await saveDatasetAs(
        db,
        DATASET_DEPENDENTS,
        principalOf(request),
        params.code,
        body,
        seenVersion(request),
      )
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
