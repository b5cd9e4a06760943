import type { ParseOutput } from './stage-outputs.ts'

/** Returns the part of an import's result that describes how its file was read. The days are known only after validation. */
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
