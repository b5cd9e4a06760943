import { testMetricInterleavings } from '../testing/interleavings/metrics/declare-tests.ts'

testMetricInterleavings('keeps every promise in every interleaving of "%s" and "%s"', [
  'is requested from an external runner',
  'has a silent external runner',
  'waits for the import of its results',
  'has lost the import of its results',
])
