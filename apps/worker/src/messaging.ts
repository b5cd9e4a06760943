import type { Database } from '@aduana/db/database'
import { createSnsClient, createSqsClient } from '@aduana/messaging/clients'
import { snsTopic } from '@aduana/messaging/sns-topic'
import { startInbox } from '@aduana/metrics/inbox/inbox'
import { requestTopic } from '@aduana/metrics/requests/request-topic'
import type { Destination } from '@aduana/outbox/destination'
import type { Resources } from '@aduana/runtime/lifecycle'
import type { Logger } from '@aduana/runtime/logger'

/** The AWS region, topics and queues of the messages. */
export interface MessagingSettings {
  region: string
  topicArns: readonly string[]
  queueUrls: readonly string[]
  visibilitySeconds: number
}

/** Returns the topics as destinations of requests. */
export function openTopics({ region, topicArns }: MessagingSettings, resources: Resources): Destination[] {
  if (topicArns.length === 0) return []
  const client = createSnsClient({ region })
  resources.add('topics', () => client.destroy())
  return topicArns.map((arn) => requestTopic(snsTopic(client, arn)))
}

/** Starts to consume the inbound queues. */
export function startInboxes(
  { region, queueUrls: urls, visibilitySeconds }: MessagingSettings,
  { db, logger, resources }: { db: Database; logger: Logger; resources: Resources },
): void {
  if (urls.length === 0) return
  const client = createSqsClient({ region })
  resources.add('queues', () => client.destroy())
  const inbox = startInbox({ db, logger, client, urls, visibilitySeconds })
  resources.add('inbox', () => inbox.stop())
}
