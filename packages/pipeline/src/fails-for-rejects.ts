import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'

/**
 * Returns true if an import fails because of its rejects: their share exceeds the dataset's limit, or no clean record
 * is left.
 */
export function failsForRejects(
  { maxRejectRatio }: Pick<DatasetDefinition, 'maxRejectRatio'>,
  { records, rejected, clean }: { records: number; rejected: number; clean: number },
): boolean {
  // A file without records gets this far only if its sender declared zero records.
  if (records === 0) return false
  return clean === 0 || rejected / records > maxRejectRatio
}
