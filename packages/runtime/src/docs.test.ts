import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { FAILURES } from '@aduana/contracts/failures'
import { PROBLEMS } from '@aduana/contracts/problems'
import { RULE_CODES, STRUCTURAL_CODES } from '@aduana/contracts/rejects'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ApiSettings, CommonSettings, WorkerSettings } from './config.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'docs/guarantees.md',
  ...['docs/guides', 'docs/decisions'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
]

/** The texts in the first cells of the rows of a page's tables that stand in backquotes. */
function firstCells(page: string): string[] {
  const cells = read(page).matchAll(/^\| *(`[^|]+`) *\|/gm)
  return [...cells].flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text))
}

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8')
}

/** The rows of a page's tables, each as its cells. */
function rows(page: string): string[][] {
  return [...read(page).matchAll(/^\| (.*) \|$/gm)].map(([, row = '']) =>
    row.split(' | ').map((cell) => cell.trim()),
  )
}

/** The folders in a folder of the tree. */
function folders(path: string): string[] {
  return readdirSync(join(ROOT, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
}

/** The folders in the sources of a package, without those that only tests use. */
function sourceFolders(name: string): string[] {
  const path = `packages/${name}/src`
  const isSource = (file: string) => file.endsWith('.ts') && !file.endsWith('.test.ts')
  return folders(path).filter(
    (folder) =>
      folder !== 'testing' &&
      readdirSync(join(ROOT, path, folder), { recursive: true, encoding: 'utf8' }).some(isSource),
  )
}

const PackageJson = z.object({ dependencies: z.record(z.string(), z.string()).default({}) })

/** Our packages and apps that a package or app declares as dependencies. */
function dependencies(path: string): string[] {
  const { dependencies } = PackageJson.parse(JSON.parse(read(`${path}/package.json`)))
  return Object.keys(dependencies).flatMap((name) => /^@aduana\/(.*)/.exec(name)?.[1] ?? [])
}

/** Everything that can be reached along arrows, sorted, for each of their starts. */
function reached(arrows: ReadonlyMap<string, readonly string[]>): Record<string, string[]> {
  const from = (name: string): string[] => (arrows.get(name) ?? []).flatMap((next) => [next, ...from(next)])
  return Object.fromEntries([...arrows.keys()].map((name) => [name, [...new Set(from(name))].sort()]))
}

/** The links of a page to files of the tree. */
function links(page: string): { text: string; target: string }[] {
  return [...read(page).matchAll(/\[([^\]]*)\]\(([^)\s]+)\)/g)]
    .map(([, text = '', target = '']) => ({ text, target: target.replace(/#.*$/, '') }))
    .filter(({ target }) => target !== '' && !/^[a-z]+:/.test(target))
}

describe('the pages of docs', () => {
  test('name every setting', () => {
    const settings = [CommonSettings, ApiSettings, WorkerSettings].flatMap(({ shape }) => Object.keys(shape))
    expect(firstCells('docs/guides/configuration.md')).toEqual(expect.arrayContaining(settings))
  })

  test('name every code of a problem and of a failed job', () => {
    const codes = [...Object.keys(PROBLEMS), ...Object.keys(FAILURES)]
    expect(firstCells('docs/guides/api.md')).toEqual(expect.arrayContaining(codes))
  })

  test('name every code of a reject', () => {
    const codes = [...STRUCTURAL_CODES, ...RULE_CODES]
    expect(firstCells('docs/guides/rejects.md')).toEqual(expect.arrayContaining(codes))
  })

  test('name every field of a definition and of its columns', () => {
    const shapes = [DatasetDefinition, ...Column.options].flatMap(({ shape }) => Object.keys(shape))
    const named = [...read('docs/guides/datasets.md').matchAll(/`([a-zA-Z]+)`/g)].map(([, text = '']) => text)
    expect(named).toEqual(expect.arrayContaining(shapes))
  })

  test.each(PAGES)('link from %s only to existing files', (page) => {
    const broken = links(page).filter(({ target }) => !existsSync(join(ROOT, dirname(page), target)))
    expect(broken).toEqual([])
  })

  test.each(['README.md', 'docs/guarantees.md'])(
    'show each guarantee of %s by a test that exists',
    (page) => {
      const shown = links(page).filter(({ target }) => target.endsWith('.test.ts'))
      const missing = shown.filter(
        ({ text, target }) => !read(join(dirname(page), target)).includes(text.split(' › ').at(-1) ?? text),
      )
      expect(shown.length).toBeGreaterThan(5)
      expect(missing).toEqual([])
    },
  )
})

describe('the guide of the architecture', () => {
  const PAGE = 'docs/guides/architecture.md'
  const packages = folders('packages')
  const apps = folders('apps')
  const table = rows(PAGE).flatMap(([first = '', , imports = '']) => {
    const name = /^`(?:apps\/)?([a-z-]+)`$/.exec(first)?.[1]
    return name !== undefined && [...packages, ...apps].includes(name)
      ? [{ name, imports: [...imports.matchAll(/`([^`]+)`/g)].map(([, other = '']) => other) }]
      : []
  })

  test('names every package and app once, the packages in the order of their imports', () => {
    const order = /const ORDER = \[([^\]]+)\]/.exec(read('.dependency-cruiser.mjs'))?.[1] ?? ''
    const ordered = [...order.matchAll(/'([^']+)'/g)].map(([, name = '']) => name)
    expect([...ordered].sort()).toEqual([...packages].sort())
    const named = table.map(({ name }) => name)
    expect(named.slice(0, ordered.length)).toEqual(ordered)
    expect(named.slice(ordered.length).sort()).toEqual([...apps].sort())
  })

  test('draws and lists the imports that the packages declare', () => {
    const declared = new Map([
      ...packages.map((name) => [name, dependencies(`packages/${name}`)] as const),
      ...apps.map((name) => [name, dependencies(`apps/${name}`)] as const),
    ])
    expect(reached(new Map(table.map(({ name, imports }) => [name, imports])))).toEqual(reached(declared))
    const diagram = /```mermaid\nflowchart TB\n([^`]*)```/.exec(read(PAGE))?.[1] ?? ''
    const drawn = new Map<string, readonly string[]>([...declared.keys()].map((name) => [name, []]))
    for (const [, from = '', to = ''] of diagram.matchAll(/^ *([a-z-]+) --> (.+)$/gm))
      drawn.set(from, to.split(' & '))
    expect(reached(drawn)).toEqual(reached(declared))
  })

  test.each(['datasets', 'jobs', 'metrics', 'pipeline'])('names every folder of %s', (name) => {
    const listed = firstCells(PAGE).flatMap((cell) => (cell.startsWith(`${name}/`) ? [cell] : []))
    expect(listed.sort()).toEqual(
      sourceFolders(name)
        .map((folder) => `${name}/${folder}`)
        .sort(),
    )
  })
})
