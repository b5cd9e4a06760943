import { SNSClient } from '@aws-sdk/client-sns'
import { SQSClient } from '@aws-sdk/client-sqs'

/** How to reach AWS or a compatible service. Credentials come from the SDK's default chain. */
export interface AwsEndpoint {
  region: string
  /** Address of a service other than AWS; by default that of the environment. */
  endpoint?: string | undefined
}

const CONNECT_TIMEOUT_MS = 5000
/** An idle connection is closed, and the request retried. */
const SOCKET_TIMEOUT_MS = 10_000
/** The maximum long poll of SQS, and the timeout of its response. */
export const MAX_POLL_SECONDS = 20
const POLL_SOCKET_TIMEOUT_MS = (MAX_POLL_SECONDS + 10) * 1000
const MAX_ATTEMPTS = 3
const MAX_SOCKETS = 64

/** Creates a client that publishes, with short timeouts and few attempts: the outbox retries. */
export function createSnsClient(place: AwsEndpoint): SNSClient {
  return new SNSClient({ ...endpointOptions(place), requestHandler: timeouts(SOCKET_TIMEOUT_MS) })
}

/** Creates a client of queues, with a timeout above that of a long poll. */
export function createSqsClient(place: AwsEndpoint): SQSClient {
  return new SQSClient({
    ...endpointOptions(place),
    requestHandler: timeouts(POLL_SOCKET_TIMEOUT_MS),
    // The URL of a queue is only its name; the settings have the endpoint.
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
