import { createWriteStream } from 'node:fs'
import { link, realpath, rename, rm, stat } from 'node:fs/promises'
import type { Artifact } from '@aduana/contracts/jobs'
import { readJob } from '../api/calls.ts'
import { type Download, isOfFile, openDownload } from '../api/download.ts'
import { UsageError, unwritable } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { formatBytes } from '../show/figures.ts'
import { renderTable } from '../show/table.ts'

/** `aduana artifacts <job>`: the files of a job that can be downloaded. */
export async function artifactsCommand(io: Io, id: string, options: { json?: boolean }): Promise<ExitCode> {
  const { artifacts } = await readJob(await openApi(io), id)
  io.out(options.json ? JSON.stringify(artifacts) : artifactTable(artifacts))
  return EXIT.loaded
}

/**
 * `aduana download <job> <name>`: download a file of a job, to the path of `--out`, to standard output for `-`, else to
 * this folder under the name that the API gives it, where no file of that name may be.
 */
export async function downloadCommand(
  io: Io,
  id: string,
  name: string,
  options: { out?: string },
): Promise<ExitCode> {
  const api = await openApi(io)
  const { artifacts } = await readJob(api, id)
  const artifact = artifacts.find((one) => one.name === name)
  if (!artifact) throw new UsageError(`The job has no file "${name}". ${namesOf(artifacts)}`)
  const download = await openDownload(api, id, artifact)
  if (options.out === '-') {
    await download.receive(io.output(), { keepOpen: true })
    return EXIT.loaded
  }
  const path = await save(download, options.out).catch((error: unknown) => {
    if (!isOfFile(error)) throw error
    throw unwritable(options.out ?? download.fileName, error)
  })
  io.out(`${path}: ${formatBytes(artifact.bytes)}`)
  return EXIT.loaded
}

function artifactTable(artifacts: readonly Artifact[]): string {
  if (artifacts.length === 0) return 'This job has no files.'
  return renderTable(
    [{ title: 'file' }, { title: 'size', right: true }, { title: 'type' }, { title: 'removed' }],
    artifacts.map(({ name, bytes, mediaType, removedAt }) => [
      name,
      formatBytes(bytes),
      mediaType,
      removedAt?.slice(0, 10) ?? '',
    ]),
  )
}

function namesOf(artifacts: readonly Artifact[]): string {
  return artifacts.length === 0
    ? 'The job has no files.'
    : `Its files are ${artifacts.map(({ name }) => name).join(', ')}.`
}

/** Undefined when there is no such file. */
async function unlessMissing<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** The file appears under its name when all of it has arrived. Returns its path. */
async function save(download: Download, out: string | undefined): Promise<string> {
  const target = out === undefined ? download.fileName : ((await unlessMissing(realpath(out))) ?? out)
  const there = await unlessMissing(stat(target))
  if (there && out === undefined) {
    download.discard()
    throw new UsageError(`${target} already exists. Choose another file with --out.`)
  }
  if (there && !there.isFile()) {
    // A device or a pipe: nothing takes its place.
    await download.receive(createWriteStream(target))
    return target
  }
  const part = `${target}.${process.pid}.part`
  try {
    await download.receive(createWriteStream(part, { flags: 'wx' }))
    // A link does not replace a file that has come in the meantime.
    await (out === undefined ? link(part, target) : rename(part, target))
  } finally {
    await rm(part, { force: true })
  }
  return target
}
