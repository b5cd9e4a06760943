/** The number of a message about a job, and its percentage. */
export interface Reported {
  seq: number
  progress: number
}

/** Records the reported progress of jobs, and every step backwards. */
export interface Account {
  /** Records a message, which must be newer than all before it. */
  news(jobId: string, told: Reported): void
  /** Records a requested state, with or without a number. It must not be older than earlier reports. */
  asked(jobId: string, told: { seq?: number; progress: number }): void
  /** The last report about a job. */
  last(jobId: string): Reported | undefined
  /** Number of recorded messages and states. */
  count(): number
  /** All steps backwards. */
  broken: readonly string[]
}

/** Opens an account; `where` names the channel of the messages. */
export function openAccount(where: string): Account {
  const last = new Map<string, Reported>()
  const broken: string[] = []
  let count = 0
  const take = (jobId: string, told: { seq?: number; progress: number }, leastStep: 0 | 1) => {
    count += 1
    const before = last.get(jobId) ?? { seq: -1, progress: 0 }
    const { seq = before.seq, progress } = told
    if (told.seq !== undefined && seq < before.seq + leastStep)
      broken.push(`G7: ${where}: number ${seq} of job ${jobId} came after ${before.seq}`)
    if (progress < before.progress)
      broken.push(
        `G7: ${where}: job ${jobId} went back from ${before.progress} to ${progress} (number ${seq} after ${before.seq})`,
      )
    last.set(jobId, { seq: Math.max(seq, before.seq), progress: Math.max(progress, before.progress) })
  }
  return {
    news: (jobId, told) => take(jobId, told, 1),
    asked: (jobId, told) => take(jobId, told, 0),
    last: (jobId) => last.get(jobId),
    count: () => count,
    broken,
  }
}
