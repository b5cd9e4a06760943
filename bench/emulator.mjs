// SNS, SQS and S3 in a process of their own, for measurements: whoever starts it with an IPC channel is told its address.
import { createTestS3 } from '../packages/testkit/dist/s3.js'

const emulator = await createTestS3()
process.send?.({ endpoint: emulator.endpoint })
process.on('disconnect', () => process.exit(0))
