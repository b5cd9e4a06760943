import { SNSClient } from '@aws-sdk/client-sns'
import { SQSClient } from '@aws-sdk/client-sqs'

/** How AWS, or a service like it, is reached. Credentials come by the SDK's usual chain. */
export interface AwsEndpoint {
  region: string
  /** Address of a service other than AWS; that of the environment unless said. */
  endpoint?: string | undefined
}

const CONNECT_TIMEOUT_MS = 5000
/** A connection on which nothing moves is given up, and the request tried again. */
const SOCKET_TIMEOUT_MS = 10_000
/** The longest poll of SQS, and the time in which its answer must have come. */
export const MAX_POLL_SECONDS = 20
const POLL_SOCKET_TIMEOUT_MS = (MAX_POLL_SECONDS + 10) * 1000
const MAX_ATTEMPTS = 3
const MAX_SOCKETS = 64

/** A client that publishes: bounded waits, few tries, because whoever publishes tries again anyhow. */
export function createSnsClient(place: AwsEndpoint): SNSClient {
  return new SNSClient({ ...endpointOptions(place), requestHandler: timeouts(SOCKET_TIMEOUT_MS) })
}

/** A client of the queues of a region; it waits for as long as a long poll takes. */
export function createSqsClient(place: AwsEndpoint): SQSClient {
  return new SQSClient({
    ...endpointOptions(place),
    requestHandler: timeouts(POLL_SOCKET_TIMEOUT_MS),
    // The address of a queue is its name; where SQS is reached, the settings say.
    useQueueUrlAsEndpoint: false,
  })
}

function endpointOptions({ region, endpoint }: AwsEndpoint) {
  return { region, maxAttempts: MAX_ATTEMPTS, ...(endpoint === undefined ? {} : { endpoint }) }
}

function timeouts(socketTimeout: number) {
  const agent = { keepAlive: true, maxSockets: MAX_SOCKETS }
  return { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout, httpAgent: agent, httpsAgent: agent }
}
