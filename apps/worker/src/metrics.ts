import type { Database } from '@aduana/db/database'
import { createSnsClient, createSqsClient } from '@aduana/messaging/clients'
import { snsTopic } from '@aduana/messaging/sns-topic'
import { startInbox } from '@aduana/metrics/inbox/inbox'
import type { Destination } from '@aduana/metrics/outbox/destination'
import { startOutbox } from '@aduana/metrics/outbox/outbox'
import { requestTopic } from '@aduana/metrics/outbox/request-topic'
import { runnerQueue } from '@aduana/metrics/outbox/runner-queue'
import { startRunner } from '@aduana/metrics/runner/runner'
import { startUpkeep } from '@aduana/metrics/runs/upkeep'
import { createMetricQueue } from '@aduana/queue/metric-queue'
import { startMetricWorkers } from '@aduana/queue/metric-workers'
import type { WorkerSettings } from '@aduana/runtime/config'
import type { Resources } from '@aduana/runtime/lifecycle'
import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'

interface MetricsContext {
  db: Database
  pool: pg.Pool
  logger: Logger
  worker: string
  queue: { redisUrl: string; prefix: string; logger: Logger }
  resources: Resources
}

/** Start what makes numbers follow their data: the runner, who looks after runs, and what leaves and comes in. */
export function startMetrics(settings: WorkerSettings, context: MetricsContext): void {
  const { db, pool, logger, worker, queue, resources } = context
  const concurrency = settings.ADUANA_METRIC_CONCURRENCY
  if (concurrency > 0) {
    const runner = startRunner({ db, pool, logger, runner: worker, concurrency })
    const metricWorkers = startMetricWorkers({ ...queue, concurrency, handler: runner.handle })
    resources.add('metric runner', async () => {
      await Promise.all([runner.stop(), metricWorkers.close()])
    })
  }
  const upkeep = startUpkeep({ db, logger })
  resources.add('metric upkeep', () => upkeep.stop())
  const metricQueue = createMetricQueue(queue)
  resources.add('metric queue', () => metricQueue.close())
  const destinations = [runnerQueue(metricQueue), ...topics(settings, resources)]
  const outbox = startOutbox({ db, databaseUrl: settings.DATABASE_URL, destinations, logger })
  resources.add('outbox', () => outbox.stop())
  takeIn(settings, context)
}

/** The topics that the settings name. */
function topics(settings: WorkerSettings, resources: Resources): Destination[] {
  const { AWS_REGION: region, ADUANA_SNS_TOPIC_ARN: standard, ADUANA_SNS_FIFO_TOPIC_ARN: fifo } = settings
  const arns = [standard, fifo].flatMap((arn) => arn ?? [])
  if (region === undefined || arns.length === 0) return []
  const client = createSnsClient({ region })
  resources.add('topics', () => client.destroy())
  return arns.map((arn) => requestTopic(snsTopic(client, arn)))
}

function takeIn(settings: WorkerSettings, { db, logger, resources }: MetricsContext): void {
  const { AWS_REGION: region, ADUANA_SQS_QUEUE_URLS: urls } = settings
  if (region === undefined || urls.length === 0) return
  const client = createSqsClient({ region })
  resources.add('queues', () => client.destroy())
  const visibilitySeconds = settings.ADUANA_SQS_VISIBILITY_SECONDS
  const inbox = startInbox({ db, logger, client, urls, visibilitySeconds })
  resources.add('inbox', () => inbox.stop())
}
