import type { Database } from '@aduana/db/database'
import { createSnsClient, createSqsClient } from '@aduana/messaging/clients'
import { snsTopic } from '@aduana/messaging/sns-topic'
import { startInbox } from '@aduana/metrics/inbox/inbox'
import { requestTopic } from '@aduana/metrics/requests/request-topic'
import type { Destination } from '@aduana/outbox/destination'
import type { Resources } from '@aduana/runtime/lifecycle'
import type { Logger } from '@aduana/runtime/logger'

/** How AWS is reached, and by which of its topics and queues others are. */
export interface MessagingPlaces {
  region: string
  topicArns: readonly string[]
  queueUrls: readonly string[]
  visibilitySeconds: number
}

/** The topics to which requests go. */
export function openTopics({ region, topicArns }: MessagingPlaces, resources: Resources): Destination[] {
  if (topicArns.length === 0) return []
  const client = createSnsClient({ region })
  resources.add('topics', () => client.destroy())
  return topicArns.map((arn) => requestTopic(snsTopic(client, arn)))
}

/** Begin to take in what others send to the queues. */
export function takeIn(
  { region, queueUrls: urls, visibilitySeconds }: MessagingPlaces,
  { db, logger, resources }: { db: Database; logger: Logger; resources: Resources },
): void {
  if (urls.length === 0) return
  const client = createSqsClient({ region })
  resources.add('queues', () => client.destroy())
  const inbox = startInbox({ db, logger, client, urls, visibilitySeconds })
  resources.add('inbox', () => inbox.stop())
}
