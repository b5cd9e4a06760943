import { SNSClient } from '@aws-sdk/client-sns'
import { SQSClient } from '@aws-sdk/client-sqs'

/** How AWS, or a service like it, is reached. Credentials come by the SDK's usual chain. */
export interface AwsPlace {
  region: string
  /** Address of a service other than AWS; that of the environment unless said. */
  endpoint?: string | undefined
}

const CONNECT_MS = 5000
/** A connection on which nothing moves is given up, and the request tried again. */
const IDLE_MS = 10_000
/** The longest poll of SQS, and the time in which its answer must have come. */
export const LONGEST_POLL_SECONDS = 20
const POLL_IDLE_MS = (LONGEST_POLL_SECONDS + 10) * 1000
const TRIES = 3
const SOCKETS = 64

/** A client that publishes: bounded waits, few tries, because whoever publishes tries again anyhow. */
export function createSnsClient(place: AwsPlace): SNSClient {
  return new SNSClient({ ...reached(place), requestHandler: waits(IDLE_MS) })
}

/** A client of the queues of a region; it waits for as long as a long poll takes. */
export function createSqsClient(place: AwsPlace): SQSClient {
  return new SQSClient({
    ...reached(place),
    requestHandler: waits(POLL_IDLE_MS),
    // The address of a queue is its name; where SQS is reached, the settings say.
    useQueueUrlAsEndpoint: false,
  })
}

function reached({ region, endpoint }: AwsPlace) {
  return { region, maxAttempts: TRIES, ...(endpoint === undefined ? {} : { endpoint }) }
}

function waits(socketTimeout: number) {
  const agent = { keepAlive: true, maxSockets: SOCKETS }
  return { connectionTimeout: CONNECT_MS, socketTimeout, httpAgent: agent, httpsAgent: agent }
}
