// Bundles the worker, and the parts of it that run beside it, from what has been built: a worker that starts then reads a
// few files in place of a thousand. What is native stays a dependency, and so does what looks for files beside itself.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const own = fileURLToPath(new URL('.', import.meta.url))
const folder = join(own, 'bundle')

const { metafile } = await build({
  absWorkingDir: own,
  // The names are those by which the parts look for each other, from beside themselves.
  entryPoints: {
    main: 'dist/main.js',
    'watchdog-thread': 'dist/health/watchdog-thread.js',
    'child/main': '@aduana/engine/child/main',
  },
  outdir: folder,
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  external: ['@duckdb/node-bindings', 'pino', 'pino-pretty', 'pg-native'],
  // Dependencies in CommonJS ask for Node's own modules by `require`.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
})

// What an earlier bundle has left goes last: somebody may run it.
const written = new Set(Object.keys(metafile.outputs).map((path) => join(own, path)))
for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name)
  if (entry.isFile() && !written.has(path)) await rm(path)
}
