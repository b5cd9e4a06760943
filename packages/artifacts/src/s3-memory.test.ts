import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { text } from 'node:stream/consumers'
import { TEST_CREDENTIALS } from '@aduana/testkit/s3'
import { afterAll, beforeAll, expect, test } from 'vitest'

const MIB = 1024 * 1024
const SIZE = 768 * MIB

let server: Server
let parts = 0
beforeAll(async () => {
  // Takes parts and throws them away.
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost')
    request.resume().on('end', () => {
      if (url.searchParams.has('partNumber')) parts += 1
      if (url.searchParams.has('uploads'))
        response.end('<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>')
      else if (request.method === 'HEAD') response.writeHead(200, { 'content-length': SIZE }).end()
      else if (request.method === 'POST') response.end('<CompleteMultipartUploadResult/>')
      else response.writeHead(200, { etag: '"x"' }).end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

test('memory does not grow with the file that is uploaded', { timeout: 120_000 }, async () => {
  const { port } = Object(server.address())
  const built = (name: string) => JSON.stringify(new URL(`../dist/${name}.js`, import.meta.url).href)
  const program = `
    const { createS3Client } = await import(${built('s3-client')})
    const { createS3Store } = await import(${built('s3-store')})
    const settings = { bucket: 'b', prefix: '', region: 'us-east-1', endpoint: 'http://127.0.0.1:${port}', pathStyle: true }
    const client = createS3Client(settings)
    const chunk = Buffer.alloc(65536, 'x')
    async function* source() { for (let sent = 0; sent < ${SIZE}; sent += chunk.length) yield chunk }
    const stored = await createS3Store(client, settings).put('jobs/a/x', source())
    console.log(JSON.stringify({ ...stored, most: process.resourceUsage().maxRSS * 1024 }))
    client.destroy()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    env: {
      AWS_ACCESS_KEY_ID: TEST_CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: TEST_CREDENTIALS.secretAccessKey,
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { bytes, most } = JSON.parse(await text(child.stdout))
  expect(bytes).toBe(SIZE)
  expect(parts).toBe(96)
  expect(most).toBeLessThan(400 * MIB)
})
