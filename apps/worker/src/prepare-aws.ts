import { parseArgs } from 'node:util'
import { createSnsClient, createSqsClient } from '@aduana/messaging/clients'
import { prepareMessaging } from '@aduana/messaging/prepare'
import { readSettings } from '@aduana/runtime/config'
import { z } from 'zod'

const USAGE = `npm run aws:prepare -- [--prefix aduana]

Creates the topics and queues of an installation in the region AWS_REGION and prints the settings of the workers. Uses the
credentials of the SDK's default chain. Topics and queues that already exist are not changed.
`
const Settings = z.object({ AWS_REGION: z.string().min(1) })
const Options = z.object({
  '--prefix': z.string().regex(/^[A-Za-z0-9_-]{1,60}$/, 'must be 1 to 60 letters, digits, - and _'),
})

/** Creates topics and queues, and prints the settings that name them. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      prefix: { type: 'string', default: 'aduana' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const { '--prefix': prefix } = readSettings(Options, { '--prefix': values.prefix })
  const { AWS_REGION: region } = readSettings(Settings, process.env)
  const [sns, sqs] = [createSnsClient({ region }), createSqsClient({ region })]
  try {
    const made = await prepareMessaging(sns, sqs, prefix)
    process.stdout.write(
      [
        `AWS_REGION=${region}`,
        `ADUANA_SNS_TOPIC_ARN=${made.topicArn}`,
        `ADUANA_SNS_FIFO_TOPIC_ARN=${made.fifoTopicArn}`,
        `ADUANA_SQS_QUEUE_URLS=${made.queueUrl}`,
        `# dead letters: ${made.deadLetterUrl}`,
        '',
      ].join('\n'),
    )
  } finally {
    sns.destroy()
    sqs.destroy()
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
