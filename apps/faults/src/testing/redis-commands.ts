import { connect } from 'node:net'

/** Sends commands to a Redis on a new connection and returns its replies. @throws when it cannot be reached */
export function sendCommands(url: string, ...commands: string[]): Promise<string> {
  const { hostname, port, password } = new URL(url)
  return new Promise((resolve, reject) => {
    let replies = ''
    const socket = connect({ host: hostname, port: Number(port) })
    socket.on('data', (chunk) => {
      replies += chunk.toString()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(replies))
    socket.write([`AUTH ${password}`, ...commands, 'QUIT', ''].join('\r\n'))
  })
}
