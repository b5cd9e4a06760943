import { Counts } from '@aduana/contracts/counts'
import { Column, Condition, CrossRule, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { Dataset, DatasetVersion } from '@aduana/contracts/datasets'
import { JobFailure } from '@aduana/contracts/failures'
import { Principal } from '@aduana/contracts/identity'
import { Artifact, ImportAccepted, Job, JobAccepted, StageAttempt } from '@aduana/contracts/jobs'
import { MetricDefinition, SeriesDefinition } from '@aduana/contracts/metrics/definition'
import { Expression, RowCondition } from '@aduana/contracts/metrics/expression'
import {
  DailyMetrics,
  Lineage,
  Metric,
  MetricItem,
  MetricValue,
  MetricVersion,
  Series,
  SeriesVersion,
} from '@aduana/contracts/metrics/http'
import { Completeness, MetricRun, MetricRunDetail, OutstandingRun } from '@aduana/contracts/metrics/http-runs'
import { PROBLEMS, Problem, type ProblemCode } from '@aduana/contracts/problems'
import { FileLayout, Reject, RejectReason } from '@aduana/contracts/rejects'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { addExamples } from './examples.ts'
import { INLINE_STYLE_POLICY } from './security-headers.ts'

/** The named schemas of the document. */
const NAMED = {
  Artifact,
  Column,
  Completeness,
  Condition,
  Counts,
  CrossRule,
  DailyMetrics,
  Dataset,
  DatasetDefinition,
  DatasetVersion,
  Expression,
  FileLayout,
  ImportAccepted,
  Job,
  JobAccepted,
  JobFailure,
  Lineage,
  Metric,
  MetricDefinition,
  MetricItem,
  MetricRun,
  MetricRunDetail,
  MetricValue,
  MetricVersion,
  OutstandingRun,
  Principal,
  Problem,
  Reject,
  RejectReason,
  RowCondition,
  Series,
  SeriesDefinition,
  SeriesVersion,
  StageAttempt,
}

const TAGS = [
  { name: 'auth', description: 'Log in and out' },
  { name: 'imports', description: 'Import files' },
  { name: 'jobs', description: 'Follow, cancel and retry jobs; download their files' },
  { name: 'datasets', description: 'Definitions of datasets, and which days are loaded' },
  { name: 'metrics', description: 'Metrics, their values and series' },
  { name: 'runs', description: 'Runs of metrics' },
  { name: 'messages', description: 'Refused queue messages' },
  { name: 'etl', description: 'Aliases for the paths in the source documents' },
  { name: 'operation', description: 'Health and telemetry' },
]

/** Registers the OpenAPI 3.1 document at /docs/json and its page at /docs. Must be called before the routes are registered. */
export async function registerOpenApi(app: FastifyInstance): Promise<void> {
  const schemaRegistry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(NAMED)) schemaRegistry.add(schema, { id })
  // The plugin reads this registry only; meta() of schemas is in zod's global registry.
  const zodToJsonConfig: ZodToJsonConfig = {
    override: ({ zodSchema, jsonSchema }) => Object.assign(jsonSchema, z.globalRegistry.get(zodSchema)),
  }
  const transform = createJsonSchemaTransform({ schemaRegistry, zodToJsonConfig })
  const transformObject = createJsonSchemaTransformObject({ schemaRegistry, zodToJsonConfig })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Aduana',
        version: '0.1.0',
        description:
          'Import files: records are checked, rejects are kept for correction, and good records are loaded exactly once.',
      },
      tags: TAGS,
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          cookie: { type: 'apiKey', in: 'cookie', name: 'aduana_session' },
        },
      },
      security: [{ token: [] }, { cookie: [] }],
    },
    transform: (document) => {
      const described = transform(document)
      const { method } = document.route
      if (described.schema) addExamples(described.schema, { method: String(method), url: described.url })
      return described
    },
    transformObject: (document) => withoutUnused(transformObject(document)),
  })
  await app.register(async (scope) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'public', helmet: INLINE_STYLE_POLICY }
    })
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      uiConfig: { persistAuthorization: true, docExpansion: 'list', displayRequestDuration: true },
    })
  })
}

/** Returns the problem responses of a route, for its response schema. Every route that is not public can return 401. */
export function problems(...codes: ProblemCode[]): Record<number, ProblemAnswer> {
  const byStatus: Record<number, ProblemAnswer> = {}
  for (const code of codes) {
    const { status, title } = PROBLEMS[code]
    const earlier = byStatus[status]?.description
    byStatus[status] = {
      description: `${earlier ? `${earlier} · ` : ''}\`${code}\` ${title}`,
      content: { 'application/problem+json': { schema: Problem } },
    }
  }
  return byStatus
}

/** A problem response of a route. */
export interface ProblemAnswer {
  description: string
  content: { 'application/problem+json': { schema: typeof Problem } }
}

type ZodToJsonConfig = NonNullable<
  NonNullable<Parameters<typeof createJsonSchemaTransform>[0]>['zodToJsonConfig']
>
type Document = ReturnType<ReturnType<typeof createJsonSchemaTransformObject>>

/** Returns the document without unused schemas. */
function withoutUnused(document: Document): Document {
  if (!('components' in document) || !document.components?.schemas) return document
  const { schemas } = document.components
  const used = new Set<string>()
  const visit = (value: unknown) => {
    for (const [, name] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (name === undefined || used.has(name)) continue
      used.add(name)
      visit(schemas[name])
    }
  }
  visit(document.paths)
  for (const name of Object.keys(schemas)) if (!used.has(name)) delete schemas[name]
  return document
}
