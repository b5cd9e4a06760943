import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = new URL('../../../../', import.meta.url)
const GUIDE = new URL('docs/guides/production.md', ROOT)

/** The places that the commands of the guide name. */
export interface Places {
  /** `/backup` */
  backup: string
  /** `$PGDATA` */
  data: string
  /** `$ADUANA_DATA_DIR` */
  dataDir: string
  /** `DATABASE_URL` of the programs. */
  databaseUrl?: string
}

/** A block of commands, in the language that it says. */
interface Block {
  language: string
  text: string
}

/** The blocks below a heading of the guide on production, in their order. */
export async function blocksOf(heading: string): Promise<Block[]> {
  const [, section = ''] = (await readFile(GUIDE, 'utf8')).split(`### ${heading}\n`)
  const [own = ''] = section.split(/^##/m)
  return [...own.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].map(([, language = '', text = '']) => ({
    language,
    text,
  }))
}

const inPlace = (text: string, backup: string) => text.replace(/(?<!\w)\/backup(?!\w)/g, backup)

/** Settings of PostgreSQL as the guide writes them. */
export function settingsOf({ text }: Block, { backup }: Pick<Places, 'backup'>): Record<string, string> {
  const lines = text.matchAll(/^(\w+) = '?(.*?)'?$/gm)
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, inPlace(value, backup)]))
}

/** The statements of a block of SQL. */
export function statementsOf({ text }: Block): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/--.*$/, '').trim())
    .filter(Boolean)
}

/** Run a block of shell commands, the paths of the guide being those given. @throws when one of them fails */
export async function runShell({ text }: Block, places: Places): Promise<void> {
  const { PATH = '' } = process.env
  await promisify(execFile)('sh', ['-ec', inPlace(text, places.backup)], {
    cwd: fileURLToPath(ROOT),
    env: {
      PATH,
      PGDATA: places.data,
      ADUANA_DATA_DIR: places.dataDir,
      ...(places.databaseUrl === undefined ? {} : { DATABASE_URL: places.databaseUrl }),
    },
  })
}
