import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FAILURES } from '@aduana/contracts/failures'
import { PROBLEMS } from '@aduana/contracts/problems'
import { RULE_CODES, STRUCTURAL_CODES } from '@aduana/contracts/rejects'
import { describe, expect, test } from 'vitest'
import { ApiSettings, CommonSettings, WorkerSettings } from './config.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const PAGES = [
  'README.md',
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
