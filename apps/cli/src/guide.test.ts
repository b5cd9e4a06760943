import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { EXIT } from './exit-codes.ts'
import { runCaptured } from './testing/run-captured.ts'

const GUIDE = readFileSync(new URL('../../../docs/guides/cli.md', import.meta.url), 'utf8')

async function help(...command: string[]): Promise<string> {
  const { code, out } = await runCaptured([...command, '--help'], { env: {} })
  expect(code).toBe(0)
  return out
}

/** The commands that a help text lists. */
function commandsOf(text: string): string[] {
  const [, list = ''] = /\nCommands:\n((?: {2}.*\n?)+)/.exec(text) ?? []
  return [...list.matchAll(/^ {2}([a-z]+)/gm)].flatMap(([, name = '']) => (name === 'help' ? [] : [name]))
}

test('the guide names every command', async () => {
  const commands: string[] = []
  for (const command of commandsOf(await help())) {
    const parts = commandsOf(await help(command))
    commands.push(command, ...parts.map((part) => `${command} ${part}`))
  }
  expect(commands).toEqual(expect.arrayContaining(['import', 'series save', 'metric save', 'logout']))
  // `dataset` and `metric` are only the first words of others.
  const missing = commands.filter((command) => !GUIDE.includes(`\`aduana ${command}`))
  expect(missing).toEqual([])
})

test.each(['import', 'jobs'])('the guide explains every option of %s', async (command) => {
  const options = [...(await help(command)).matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)]
  const names = options.flatMap(([, name = '']) =>
    ['--help', '--follow', '--json'].includes(name) ? [] : [name],
  )
  expect(names.length).toBeGreaterThan(4)
  expect(names.filter((name) => !new RegExp(`^\\|[^|]*\`${name}\``, 'm').test(GUIDE))).toEqual([])
})

test('the guide has every exit code', () => {
  const codes = [...GUIDE.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code))
  expect(codes).toEqual(Object.values(EXIT))
})
