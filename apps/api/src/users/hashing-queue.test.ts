import { expect, test } from 'vitest'
import { createHashingQueue } from './hashing-queue.ts'

/** Work that ends when it is told to, in a line with these limits. */
function staged(concurrency: number, waiting: number) {
  const line = createHashingQueue({ concurrency, waiting })
  const running: { name: string; end: () => void }[] = []
  const begun: string[] = []
  const refused: string[] = []
  const ended: Promise<void>[] = []
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    begun,
    refused,
    running,
    add: async (network: string, name: string) => {
      const work = () =>
        new Promise<void>((end) => {
          begun.push(name)
          running.push({ name, end })
        })
      ended.push(line(network, work).catch(() => void refused.push(name)))
      await settle()
    },
    end: async () => {
      running.shift()?.end()
      await settle()
    },
    all: () => Promise.all(ended),
  }
}

test('passwords are hashed up to the limit at once, the others in order', async () => {
  const line = staged(2, 10)
  for (const name of ['a', 'b', 'c', 'd']) await line.add('one', name)
  expect(line.begun).toEqual(['a', 'b'])
  await line.end()
  expect(line.begun).toEqual(['a', 'b', 'c'])
  while (line.running.length > 0) await line.end()
  await line.all()
  expect(line.begun).toEqual(['a', 'b', 'c', 'd'])
})

test('work that fails frees its slot', async () => {
  const line = createHashingQueue({ concurrency: 1, waiting: 1 })
  await expect(line('one', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await line('one', async () => 'yes')).toBe('yes')
})

test('a network that floods does not delay another', async () => {
  const line = staged(1, 10)
  for (let n = 0; n < 8; n++) await line.add('flood', `flood ${n}`)
  await line.add('lone', 'lone')
  await line.end()
  await line.end()
  expect(line.begun).toEqual(['flood 0', 'flood 1', 'lone'])
  while (line.running.length > 0) await line.end()
  await line.all()
})

test('when the queue is full, the network that fills it is refused with the time to retry', async () => {
  const line = staged(1, 3)
  for (let n = 0; n < 6; n++) await line.add('flood', `flood ${n}`)
  expect(line.refused).toEqual(['flood 4', 'flood 5'])
  await line.add('lone', 'lone')
  expect(line.refused).toEqual(['flood 4', 'flood 5', 'flood 3'])
  while (line.running.length > 0) await line.end()
  await line.all()
  expect(line.begun).toContain('lone')

  const full = createHashingQueue({ concurrency: 0, waiting: 0 })
  await expect(full('one', async () => undefined)).rejects.toMatchObject({
    code: 'logins_busy',
    extra: { retryAfterSeconds: expect.any(Number) },
  })
})
