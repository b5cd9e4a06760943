import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { until } from '@aduana/testkit/until'
import pg from 'pg'
import { blocksOf, runShell, settingsOf, statementsOf } from './guide-commands.ts'
import { type OwnServer, ownPostgres } from './own-servers.ts'

/** Starts a PostgreSQL that archives its WAL as the production guide describes. Its backup goes to `backup` in its folder. */
export async function archivingPostgres(): Promise<OwnServer> {
  const [settings] = await blocksOf('Back up')
  if (!settings) throw new Error('the guide has no settings for a backup')
  // A backup needs full page writes, which test servers switch off.
  return ownPostgres({ full_page_writes: 'on' }, async (dir) => {
    const backup = join(dir, 'backup')
    await mkdir(join(backup, 'wal'), { recursive: true })
    // The server runs as another user than the tests.
    await chmod(join(backup, 'wal'), 0o777)
    return settingsOf(settings, { backup })
  })
}

/**
 * Backs up a running server and the artifacts of an installation with the commands of the guide. `afterCopy` runs
 * between the copy of the data directory and the archiving of the last WAL.
 */
export async function backUp(
  server: OwnServer,
  dataDir: string,
  afterCopy: () => Promise<void>,
): Promise<void> {
  const [, start, copy, stop, archive, artifacts] = await blocksOf('Back up')
  if (!start || !copy || !stop || !archive || !artifacts)
    throw new Error('the guide lacks a step of a backup')
  const places = { backup: join(server.dir, 'backup'), data: join(server.dir, 'data'), dataDir }
  const session = new pg.Client({ connectionString: server.url })
  await session.connect()
  try {
    for (const statement of statementsOf(start)) await session.query(statement)
    await runShell(copy, places)
    for (const statement of statementsOf(stop)) {
      const stopped = await session.query<{ labelfile: string }>(statement)
      await writeFile(join(places.backup, 'backup_label'), stopped.rows[0]?.labelfile ?? '')
    }
    await afterCopy()
    for (const statement of statementsOf(archive)) await archived(session, statement)
  } finally {
    await session.end()
  }
  await runShell(artifacts, places)
}

/** Archives the current WAL with `statement`, which returns its file name, and waits until that file is archived. */
async function archived(session: pg.Client, statement: string): Promise<void> {
  const { rows } = await session.query<{ file: string }>(statement)
  const file = rows[0]?.file ?? ''
  await until(
    async () =>
      (await session.query('select from pg_stat_archiver where last_archived_wal >= $1', [file])).rowCount ===
      1,
    { what: `${file} is archived`, within: 60_000 },
  )
}

/** Starts another server from the backup of a server, with the commands of the guide. Returns once it has recovered. */
export async function restoredPostgres(backedUp: OwnServer): Promise<OwnServer> {
  const [unpack, settings] = await blocksOf('Restore')
  if (!unpack || !settings) throw new Error('the guide lacks a step of a restore')
  return ownPostgres({}, async (dir) => {
    const backup = join(dir, 'backup')
    // Keeps the owner: the server must be able to read the archive.
    await promisify(execFile)('cp', ['-a', join(backedUp.dir, 'backup'), backup])
    const data = join(dir, 'data')
    await runShell(unpack, { backup, data, dataDir: dir })
    // In the guide, the user that the server runs as does this.
    await promisify(execFile)('chown', ['-R', `--reference=${join(backedUp.dir, 'data')}`, data])
    // Not a file of PostgreSQL: the launcher needs it to start the server.
    await copyFile(join(backedUp.dir, 'password'), join(dir, 'password'))
    return settingsOf(settings, { backup })
  })
}

/** Restores the artifacts and applies the missing migrations, with the commands of the guide. */
export async function restoreArtifacts(
  server: OwnServer,
  dataDir: string,
  databaseUrl: string,
): Promise<void> {
  const [, , artifacts] = await blocksOf('Restore')
  if (!artifacts) throw new Error('the guide lacks a step of a restore')
  const places = { backup: join(server.dir, 'backup'), data: join(server.dir, 'data'), dataDir, databaseUrl }
  await runShell(artifacts, places)
}
