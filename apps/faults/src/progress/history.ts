/** The number of a message about a job, and its percentage. */
export interface Reported {
  seq: number
  progress: number
}

/** Records the reported progress of jobs, and every decrease. */
export interface ProgressHistory {
  /** Records a message, which must be newer than all before it. */
  message(jobId: string, report: Reported): void
  /** Records a snapshot, with or without a number. It must not be older than earlier reports. */
  snapshot(jobId: string, report: { seq?: number; progress: number }): void
  /** The last report about a job. */
  last(jobId: string): Reported | undefined
  /** Number of recorded messages and states. */
  count(): number
  /** All decreases. */
  broken: readonly string[]
}

/** Returns an empty history. `channel` is the name of the channel in errors. */
export function createProgressHistory(channel: string): ProgressHistory {
  const last = new Map<string, Reported>()
  const broken: string[] = []
  let count = 0
  const take = (jobId: string, report: { seq?: number; progress: number }, leastStep: 0 | 1) => {
    count += 1
    const before = last.get(jobId) ?? { seq: -1, progress: 0 }
    const { seq = before.seq, progress } = report
    if (report.seq !== undefined && seq < before.seq + leastStep)
      broken.push(`G7: ${channel}: number ${seq} of job ${jobId} came after ${before.seq}`)
    if (progress < before.progress)
      broken.push(
        `G7: ${channel}: job ${jobId} went back from ${before.progress} to ${progress} (number ${seq} after ${before.seq})`,
      )
    last.set(jobId, { seq: Math.max(seq, before.seq), progress: Math.max(progress, before.progress) })
  }
  return {
    message: (jobId, report) => take(jobId, report, 1),
    snapshot: (jobId, report) => take(jobId, report, 0),
    last: (jobId) => last.get(jobId),
    count: () => count,
    broken,
  }
}
