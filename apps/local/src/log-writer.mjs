// Writes what it reads to a log that rotates, until its input ends: `log-writer.mjs <file> [bytes] [files]`. It is a
// process of its own, in a session of its own, so that a service never waits for the launcher and its last lines are
// kept when the launcher is killed.
import { openRotatingLog } from './rotation.mjs'

const [, , file = '', bytes, files] = process.argv

function open() {
  const log = openRotatingLog(file, {
    ...(bytes === undefined ? {} : { bytes: Number(bytes) }),
    ...(files === undefined ? {} : { files: Number(files) }),
  })
  process.stdin.on('data', (chunk) => log.write(Buffer.from(chunk)))
  process.stdin.on('end', () => log.close())
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined)
try {
  open()
} catch (error) {
  console.error(`cannot write to ${file}: ${error instanceof Error ? error.message : String(error)}`)
  // The service continues without its log. It would end if its output had no reader.
  process.stdin.resume()
}
