import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { RESULTS_DATASET } from '@aduana/contracts/metrics/manifest'

/** The values that external runners have computed. They become values of the metric when the run succeeds. */
export const metricResults = DatasetDefinition.parse({
  code: RESULTS_DATASET,
  title: { en: 'Results of metrics', es: 'Resultados de métricas' },
  table: { name: 'metric_result' },
  origin: 'runs',
  columns: [
    {
      name: 'metric',
      type: 'text',
      title: { en: 'Metric', es: 'Métrica' },
      required: true,
      maxLength: 100,
    },
    { name: 'date', type: 'date', title: { en: 'Day', es: 'Día' }, required: true },
    { name: 'company', type: 'text', title: { en: 'Company', es: 'Empresa' }, maxLength: 100 },
    { name: 'warehouse', type: 'text', title: { en: 'Warehouse', es: 'Bodega' }, maxLength: 100 },
    {
      name: 'value',
      type: 'decimal',
      title: { en: 'Value', es: 'Valor' },
      required: true,
      precision: 38,
      scale: 16,
    },
  ],
  unknownColumns: 'fail',
  unique: { columns: ['metric', 'date', 'company', 'warehouse'] },
  loadMode: 'replace-window',
  windowColumn: 'date',
  scope: { company: 'company', warehouse: 'warehouse' },
  replaceScope: 'metric',
  sortBy: ['metric', 'date'],
  // One malformed decimal, or one value of another metric or day, makes the whole result untrustworthy.
  maxRejectRatio: 0,
  maxWindowDays: 36_525,
})
