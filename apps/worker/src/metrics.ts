import type { Database } from '@aduana/db/database'
import { runnerQueue } from '@aduana/metrics/requests/runner-queue'
import { startRunner } from '@aduana/metrics/runner/runner'
import { startMaintenance } from '@aduana/metrics/runs/maintenance'
import { startOutbox } from '@aduana/outbox/outbox'
import { createMetricQueue } from '@aduana/queue/metric-queue'
import { startMetricWorkers } from '@aduana/queue/metric-workers'
import type { WorkerSettings } from '@aduana/runtime/config'
import type { Resources } from '@aduana/runtime/lifecycle'
import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'
import type { MessagingSettings } from './messaging.ts'

interface MetricsContext {
  db: Database
  pool: pg.Pool
  logger: Logger
  worker: string
  queue: { redisUrl: string; prefix: string; logger: Logger }
  resources: Resources
}

/** Starts the runner, the maintenance of runs, the outbox and the inbox. */
export async function startMetrics(settings: WorkerSettings, context: MetricsContext): Promise<void> {
  const { db, pool, logger, worker, queue, resources } = context
  const concurrency = settings.ADUANA_METRIC_CONCURRENCY
  if (concurrency > 0) {
    const runner = startRunner({ db, pool, logger, runner: worker, concurrency })
    const metricWorkers = startMetricWorkers({ ...queue, concurrency, handler: runner.handle })
    resources.add('metric runner', async () => {
      await Promise.all([runner.stop(), metricWorkers.close()])
    })
  }
  const maintenance = startMaintenance({ db, logger })
  resources.add('metric maintenance', () => maintenance.stop())
  const metricQueue = createMetricQueue(queue)
  resources.add('metric queue', () => metricQueue.close())
  const messaging = messagingSettings(settings)
  const topics = messaging ? (await loadMessaging()).openTopics(messaging, resources) : []
  const destinations = [runnerQueue(metricQueue), ...topics]
  const outbox = startOutbox({ db, databaseUrl: settings.DATABASE_URL, destinations, logger })
  resources.add('outbox', () => outbox.stop())
  if (messaging) (await loadMessaging()).startInboxes(messaging, context)
}

/** Loaded only when needed: the AWS clients make a process start later, and larger. */
const loadMessaging = () => import('./messaging.ts')

/** Returns the topics and queues in the settings; undefined when there are none. */
function messagingSettings(settings: WorkerSettings): MessagingSettings | undefined {
  const { AWS_REGION: region, ADUANA_SNS_TOPIC_ARN: standard, ADUANA_SNS_FIFO_TOPIC_ARN: fifo } = settings
  const topicArns = [standard, fifo].flatMap((arn) => arn ?? [])
  const queueUrls = settings.ADUANA_SQS_QUEUE_URLS
  if (region === undefined || topicArns.length + queueUrls.length === 0) return undefined
  return { region, topicArns, queueUrls, visibilitySeconds: settings.ADUANA_SQS_VISIBILITY_SECONDS }
}
