import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from './store.ts'

/**
 * A disk store belongs to one installation: its root carries a marker that PostgreSQL also knows. Two hosts with a
 * folder each, against one database, would otherwise look for each other's files in vain.
 *
 * @param remember stores the marker if the database has none yet, and answers the one that the database has
 * @throws StoreError `foreign` when the folder and the database do not belong together
 */
export async function claimDiskStore(
  root: string,
  remember: (marker: string) => Promise<string>,
): Promise<void> {
  await mkdir(root, { recursive: true })
  const marker = await markerOf(root)
  if ((await remember(marker)) !== marker)
    throw new StoreError(
      'foreign',
      `The folder ${root} is not the artifact store of this database. Point ADUANA_DATA_DIR at the folder that every process shares.`,
    )
}

/** The marker of a root, made if it has none; processes that make it at the same moment agree on one. */
async function markerOf(root: string): Promise<string> {
  const path = join(root, 'store-id')
  const temporary = `${path}.${randomUUID()}`
  await writeFile(temporary, randomUUID(), { flush: true })
  try {
    await link(temporary, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    await rm(temporary, { force: true })
  }
  return (await readFile(path, 'utf8')).trim()
}
