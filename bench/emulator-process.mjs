// SNS, SQS and S3 in a process of their own: whoever starts it with an IPC channel is told how to reach it.
import { createTestS3 } from '../packages/testkit/dist/s3.js'

const emulator = await createTestS3()
process.send?.({ endpoint: emulator.endpoint, environment: emulator.environment() })
process.on('disconnect', () => process.exit(0))
