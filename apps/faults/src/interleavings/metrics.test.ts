import { testMetricInterleavings } from '../testing/interleavings/metrics/declare-tests.ts'

testMetricInterleavings('keeps every promise in every interleaving of "%s" and "%s"', [
  'waits for a dataset',
  'is requested',
  'has a silent runner',
  'has timed out',
  'has failed',
  'has expired',
  'depends on another run',
])
