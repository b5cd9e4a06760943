/**
 * Returns the text of a queue message: its body, or the message of an SNS notification if the queue is subscribed to a topic
 * without raw delivery (`Type`, `TopicArn`, `Message`; see "Parsing message formats" in the guide
 * of SNS).
 */
export function textOf(body: string): string {
  if (!body.includes('"TopicArn"')) return body
  try {
    const parsed: unknown = JSON.parse(body)
    return isNotification(parsed) ? parsed.Message : body
  } catch {
    // Not JSON: the reader of the body reports it.
    return body
  }
}

function isNotification(value: unknown): value is { Message: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'Type' in value &&
    value.Type === 'Notification' &&
    'Message' in value &&
    typeof value.Message === 'string'
  )
}
