import { testMetricMeetings } from '../testing/interleavings/metrics/meetings.ts'

testMetricMeetings('keeps every promise in every order of "%s" and "%s"', [
  'waits for a dataset',
  'is requested',
  'is with a silent runner',
  'has timed out',
  'has failed',
  'has expired',
  'follows another',
])
