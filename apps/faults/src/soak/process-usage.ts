import { readdir, readFile, readlink, stat } from 'node:fs/promises'

/** The resources of a process and its children at a moment. */
export interface ProcessUsage {
  pid: number
  /** Resident memory in bytes. */
  rss: number
  /** Open file descriptors. */
  descriptors: number
  /** Files of `folder` that are deleted and still open, and the bytes that they hold on disk. */
  deletedFiles: number
  deletedBytes: number
}

/** Measures the running processes of `pids`, each with its children. Linux only. */
export async function measureProcesses(pids: readonly number[], folder: string): Promise<ProcessUsage[]> {
  const children = await childrenByParent()
  const usages = await Promise.all(pids.map((pid) => measureTree(pid, children, folder)))
  return usages.filter(({ descriptors }) => descriptors > 0)
}

async function measureTree(
  root: number,
  children: ReadonlyMap<number, readonly number[]>,
  folder: string,
): Promise<ProcessUsage> {
  const usage = { pid: root, rss: 0, descriptors: 0, deletedFiles: 0, deletedBytes: 0 }
  for (const pending = [root]; pending.length > 0; ) {
    const pid = pending.pop() ?? 0
    pending.push(...(children.get(pid) ?? []))
    usage.rss += await residentBytes(pid)
    for (const [path, bytes] of await openFiles(pid)) {
      usage.descriptors += 1
      if (!path.startsWith(folder) || !path.endsWith(' (deleted)')) continue
      usage.deletedFiles += 1
      usage.deletedBytes += bytes
    }
  }
  return usage
}

async function childrenByParent(): Promise<Map<number, number[]>> {
  const children = new Map<number, number[]>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const text = await ifReadable(readFile(`/proc/${name}/stat`, 'utf8'))
    // The name of the program is in parentheses, and may hold any character.
    const parent = Number(text?.slice(text.lastIndexOf(')') + 2).split(' ')[1])
    if (parent > 0) children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  return children
}

async function residentBytes(pid: number): Promise<number> {
  const status = await ifReadable(readFile(`/proc/${pid}/status`, 'utf8'))
  return Number(/^VmRSS:\s+(\d+)/m.exec(status ?? '')?.[1] ?? 0) * 1024
}

async function openFiles(pid: number): Promise<[path: string, bytes: number][]> {
  const names = (await ifReadable(readdir(`/proc/${pid}/fd`))) ?? []
  const files = names.map(async (name): Promise<[string, number][]> => {
    const file = `/proc/${pid}/fd/${name}`
    const [path, stats] = await Promise.all([ifReadable(readlink(file)), ifReadable(stat(file))])
    return path === undefined ? [] : [[path, (stats?.blocks ?? 0) * 512]]
  })
  return (await Promise.all(files)).flat()
}

/** Returns undefined if the process ends, or the descriptor is closed, during the read. */
async function ifReadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch {
    return undefined
  }
}
