import type { ProcessUsage } from './process-usage.ts'
import { describeCounts, type SoakReport } from './soak.ts'
import type { Amount, Amounts } from './stored.ts'

const SHOWN = 5

/** Returns a report as lines of text. */
export function describeSoak(report: SoakReport): string[] {
  const { imports, endings, failures, responses, faults, deadlocks } = report
  return [
    '',
    `${imports} imports; jobs: ${describeCounts(endings)}`,
    ...(Object.keys(failures).length > 0 ? [`failed jobs: ${describeCounts(failures)}`] : []),
    `faults: ${describeCounts(faults)}`,
    '',
    'responses of the API',
    ...Object.entries(responses)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, count]) => `  ${String(count).padStart(7)}  ${name}`),
    ...report.failedStarts.map((why) => `  a start of the API failed: ${why}`),
    '',
    'leftovers after all jobs had ended',
    ...describeLeftovers(report),
    '',
    `growth of tables, by import${' '.repeat(24)}rows      bytes`,
    ...describeTables(report),
    '',
    `growth of keys in Redis: ${describeCounts(report.after.keys)}`,
    ...describeFiles(report.after.files),
    '',
    'processes, with their children: memory, descriptors, deleted files that are open',
    ...Object.entries(report.usage).flatMap(([kind, { most, last }]) => [
      `  ${kind} at most    ${describeUsage(most)}`,
      ...last.map((usage) => `  ${kind} at the end ${describeUsage(usage)}`),
    ]),
    '',
    'logged above info',
    ...[...report.warnings].map(
      ([name, { times, example }]) => `  ${String(times).padStart(7)}  ${name}: ${example}`,
    ),
    '',
    `deadlocks in PostgreSQL: ${deadlocks}`,
  ]
}

function describeLeftovers({ left, pruned }: SoakReport): string[] {
  const kinds = Object.entries(left).flatMap(([kind, places]) => [
    `  ${kind}: ${places.length}`,
    ...places.slice(0, SHOWN).map((place) => `    ${place}`),
  ])
  return [
    ...(kinds.length > 0 ? kinds : ['  nothing']),
    `  housekeeping then removed: ${describeCounts(pruned)}`,
  ]
}

/** Returns the tables that have grown, in descending order of growth. */
function describeTables({ before, after, imports }: SoakReport): string[] {
  const by = (amount: number) => (imports === 0 ? 0 : amount / imports)
  return Object.entries(after.tables)
    .map(([name, amount]) => ({ name, ...growth(amount, before.tables[name]) }))
    .filter(({ count, bytes }) => count > 0 || bytes > 0)
    .sort((one, other) => other.bytes - one.bytes)
    .map(
      ({ name, count, bytes }) =>
        `  ${name.padEnd(38)} ${by(count).toFixed(1).padStart(11)} ${by(bytes).toFixed(0).padStart(10)}`,
    )
}

function growth(after: Amount, before: Amount | undefined): Amount {
  return { count: after.count - (before?.count ?? 0), bytes: after.bytes - (before?.bytes ?? 0) }
}

function describeFiles(files: Amounts): string[] {
  return Object.entries(files).map(
    ([folder, { count, bytes }]) => `growth of files in ${folder}: ${count}, ${megabytes(bytes)}`,
  )
}

function describeUsage({ rss, descriptors, deletedFiles, deletedBytes }: ProcessUsage): string {
  return `${megabytes(rss).padStart(9)} ${String(descriptors).padStart(5)}  ${deletedFiles} (${megabytes(deletedBytes)})`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}
