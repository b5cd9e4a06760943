import type { ParseOutput } from './stage-outputs.ts'

/** What the result of an import says of how its file was read. The days are known once its records are checked. */
export function recognised(
  parsed: Pick<
    ParseOutput,
    | 'format'
    | 'encoding'
    | 'encodingSure'
    | 'delimiter'
    | 'headerLine'
    | 'columns'
    | 'preamble'
    | 'ignored'
    | 'absent'
    | 'skipped'
    | 'warnings'
  >,
  days: readonly string[] = [],
): Record<string, unknown> {
  const sorted = [...days].sort()
  return {
    format: parsed.format,
    encoding: parsed.encoding,
    encodingSure: parsed.encodingSure,
    delimiter: parsed.delimiter,
    headerLine: parsed.headerLine,
    columns: parsed.columns,
    preamble: parsed.preamble,
    ignoredColumns: parsed.ignored,
    absentColumns: parsed.absent,
    skippedLines: parsed.skipped,
    firstDay: sorted[0] ?? null,
    lastDay: sorted.at(-1) ?? null,
    days: new Set(days).size,
    warnings: parsed.warnings,
  }
}
