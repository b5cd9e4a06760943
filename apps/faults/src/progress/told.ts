/** What a job was said to be at: the number of the message, and the per cent. */
export interface Told {
  seq: number
  progress: number
}

/** Keeps account of what is told of jobs, and of every time that it goes backwards. */
export interface Account {
  /** Takes a message that has to be newer than all before it. */
  news(jobId: string, told: Told): void
  /** Takes a state that was asked for: not older than what was told before, with or without a number. */
  asked(jobId: string, told: { seq?: number; progress: number }): void
  /** What was told last of a job. */
  last(jobId: string): Told | undefined
  /** Number of messages that were taken. */
  count(): number
  /** Everything that went backwards. */
  broken: readonly string[]
}

/** Opens an account; `where` names the way on which the messages come. */
export function openAccount(where: string): Account {
  const last = new Map<string, Told>()
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
