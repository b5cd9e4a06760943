import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { createResources, processExists } from './lifecycle.ts'
import { createLogger } from './logger.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

describe('resources', () => {
  test('are released in the reverse order, each before the next begins', async () => {
    const said: string[] = []
    const resources = createResources(logger)
    for (const name of ['pool', 'server', 'socket'])
      resources.add(name, async () => {
        said.push(`${name} closing`)
        await new Promise(setImmediate)
        said.push(`${name} closed`)
      })
    await resources.release()
    expect(said).toEqual(
      ['socket', 'server', 'pool'].flatMap((name) => [`${name} closing`, `${name} closed`]),
    )
  })

  test('are released even if one of them fails', async () => {
    const said: string[] = []
    const resources = createResources(logger)
    resources.add('first', () => void said.push('first'))
    resources.add('rejects', () => Promise.reject(new Error('no')))
    resources.add('throws', () => {
      throw new Error('no')
    })
    resources.add('last', () => void said.push('last'))
    await resources.release()
    expect(said).toEqual(['last', 'first'])
  })

  test('are released even if one of them never finishes', async () => {
    const said: string[] = []
    const resources = createResources(logger, 50)
    resources.add('first', () => void said.push('first'))
    resources.add('hangs too', () => new Promise<void>(() => undefined))
    resources.add('hangs', () => new Promise<void>(() => undefined))
    await resources.release()
    expect(said).toEqual(['first'])
  })

  test('are released once, and a second call waits for the first', async () => {
    let times = 0
    let open: () => void = () => undefined
    const resources = createResources(logger)
    resources.add('slow', () => {
      times += 1
      return new Promise<void>((resolve) => {
        open = resolve
      })
    })
    const both = [resources.release(), resources.release()]
    open()
    await Promise.all(both)
    await resources.release()
    expect(times).toBe(1)
  })

  test('that are added during the release are released too', async () => {
    const said: string[] = []
    const resources = createResources(logger)
    resources.add('outer', () => resources.add('inner', () => void said.push('inner')))
    await resources.release()
    expect(said).toEqual(['inner'])
  })
})

type Running = ChildProcessByStdio<null, Readable, null>

describe('a process', () => {
  const lifecycle = JSON.stringify(new URL('../dist/lifecycle.js', import.meta.url).href)
  const waiting = (parent: string) => `
    const { untilStopped } = await import(${lifecycle})
    const stay = setInterval(() => {}, 1000)
    const reason = untilStopped(${parent})
    console.log('waiting')
    console.log(await reason)
    clearInterval(stay)`
  const start = (program: string): Running =>
    spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ready = async (child: Running) => {
    await once(child.stdout, 'readable')
  }

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'that gets %s is notified and exits',
    async (signal) => {
      const child = start(waiting('undefined'))
      await ready(child)
      child.kill(signal)
      const [[code], output] = await Promise.all([once(child, 'exit'), text(child.stdout)])
      expect(output).toBe(`waiting\n${signal}\n`)
      expect(code).toBe(0)
    },
  )

  test('exits when its parent has ended', async () => {
    const parent = start('setInterval(() => {}, 1000); console.log("up")')
    await ready(parent)
    const child = start(waiting(String(parent.pid)))
    await ready(child)
    parent.kill('SIGKILL')
    const [, output] = await Promise.all([once(child, 'exit'), text(child.stdout)])
    expect(output).toBe('waiting\nparent gone\n')
  })

  test('is known to exist while it runs, even if it belongs to another user', async () => {
    const child = start('')
    const pid = child.pid ?? 0
    expect(processExists(pid)).toBe(true)
    await once(child, 'exit')
    expect(processExists(pid)).toBe(false)
    expect(processExists(1)).toBe(true)
  })
})
