import { testMetricMeetings } from '../testing/interleavings/metrics/meetings.ts'

testMetricMeetings('keeps every promise in every order of "%s" and "%s"', [
  'is requested outside',
  'is with a silent runner outside',
  'waits for the import of its results',
  'has lost the import of its results',
])
