import { DatasetDefinition, LoadMode } from '@aduana/contracts/dataset-definition'
import { LedgerDay, LedgerQuery } from '@aduana/contracts/window-ledger'
import { findDataset, listDatasets, type RegisteredDataset, readDataset } from '@aduana/datasets/registry'
import { readLedger } from '@aduana/jobs/window-ledger'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'

const Dataset = z.strictObject({
  id: z.uuid(),
  code: z.string(),
  version: z.int(),
  title: z.strictObject({ en: z.string(), es: z.string() }),
  loadMode: LoadMode,
  definition: DatasetDefinition,
})
const DatasetList = z.strictObject({ items: z.array(Dataset) })

/** /api/datasets */
export function datasetRoutes(app: FastifyInstance, { db }: ApiContext): void {
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
    async (request) => shown(await findDataset(db, request.params.code)),
  )

  typed.get(
    '/api/datasets/:code/windows',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readWindows',
        summary: 'The window ledger: which job owns which day, and how it stands',
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
      const { id } = await readDataset(db, request.params.code)
      return { items: await readLedger(db, principalOf(request), id, request.query) }
    },
  )
}

function shown(dataset: RegisteredDataset): z.infer<typeof Dataset> {
  const { id, code, version, definition } = dataset
  return { id, code, version, title: definition.title, loadMode: definition.loadMode, definition }
}
