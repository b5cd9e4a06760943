import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'

/** Returns whether an import fails for its rejects: more than the dataset's share, or no clean record at all. */
export function failsForRejects(
  { maxRejectRatio }: Pick<DatasetDefinition, 'maxRejectRatio'>,
  { records, rejected, clean }: { records: number; rejected: number; clean: number },
): boolean {
  // A file without records gets here only if its sender declared that it has none.
  if (records === 0) return false
  return clean === 0 || rejected / records > maxRejectRatio
}
