#!/usr/bin/env node
// The launcher behind the root package.json scripts. It must run before anything is installed, so it and all it
// imports use Node's built-ins only. This file uses old syntax, so that an old Node can run it and report its version.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Aduana needs Node 20.19 or newer; this is ${process.version}. See https://nodejs.org/en/download`,
  )
  process.exit(1)
}

const { runCommand } = await import('./commands.mjs')
process.exitCode = await runCommand(process.argv[2] ?? '', process.argv.slice(3))
