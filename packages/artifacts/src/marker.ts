import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { withStoreRecords } from '@aduana/db/artifact-stores'
import type { Database } from '@aduana/db/database'
import { FILE_MODE, FOLDER_MODE } from './own-folder.ts'
import { StoreError } from './store.ts'

/** The location of a store, which can hold a marker. */
export interface StoreLocation {
  kind: 'disk' | 's3'
  /** Its name in messages. */
  title: string
  /** What to change if it is the wrong location. */
  advice: string
  read(): Promise<string | undefined>
  /** Writes the marker, unless one exists. */
  write(marker: string): Promise<void>
}

/**
 * Checks that a store and a database belong together, by a marker in both. Otherwise two hosts with separate folders would
 * miss each other's files, and two databases with one folder or bucket would delete each other's files. A database without a
 * store claims a location without a marker.
 * @throws StoreError `foreign` when they do not belong together
 */
export async function claimStore(db: Database, location: StoreLocation): Promise<void> {
  await withStoreRecords(db, async (records) => {
    const known = await records.known()
    const other = known.find(({ kind, proposed }) => kind !== location.kind && !proposed)
    if (other)
      throw foreign(
        `${location.title} is not the artifact store of this database, which uses a store of the kind "${other.kind}".`,
        'Give every process the same ADUANA_ARTIFACTS_URL; docs/guides/production.md says how to move the files.',
      )
    const ours = known.find(({ kind }) => kind === location.kind)
    const found = await location.read()
    if (ours && !ours.proposed) {
      if (found === ours.marker) return
      throw foreign(`${location.title} is not the artifact store of this database.`, location.advice)
    }
    if (found !== undefined && found !== ours?.marker)
      throw foreign(
        `${location.title} is the artifact store of another database.`,
        `${location.advice} If the other database no longer exists, remove store-id there.`,
      )
    if (found === undefined) await mark(location, (marker) => records.propose(location.kind, marker))
    await records.confirm(location.kind)
  })
}

async function mark(location: StoreLocation, propose: (marker: string) => Promise<void>): Promise<void> {
  const marker = randomUUID()
  await propose(marker)
  await location.write(marker)
  if ((await location.read()) !== marker)
    throw foreign(`${location.title} has just been claimed by another database.`, location.advice)
}

function foreign(what: string, advice: string): StoreError {
  return new StoreError('foreign', `${what} ${advice}`)
}

/** Returns the folder of a disk store as a location. */
export function folderLocation(root: string): StoreLocation {
  const path = join(root, 'store-id')
  return {
    kind: 'disk',
    title: `The folder ${root}`,
    advice: 'Point ADUANA_DATA_DIR at the folder that every process of this installation shares.',
    read: async () => {
      try {
        return (await readFile(path, 'utf8')).trim()
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return undefined
        throw error
      }
    },
    write: async (marker) => {
      await mkdir(root, { recursive: true, mode: FOLDER_MODE })
      const temporary = `${path}.${randomUUID()}`
      await writeFile(temporary, marker, { flush: true, mode: FILE_MODE })
      try {
        await link(temporary, path)
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error
      } finally {
        await rm(temporary, { force: true })
      }
    },
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
