// Bundles the built worker and its thread and child process, so that a starting worker reads a few files instead of a
// thousand. Native modules, and modules that look for files next to themselves, stay dependencies.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const own = fileURLToPath(new URL('.', import.meta.url))
const folder = join(own, 'bundle')

const { metafile } = await build({
  absWorkingDir: own,
  // The parts find each other by these names, relative to their own location.
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
  // CommonJS dependencies load Node's built-in modules with `require`.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
})

// Files of an earlier bundle are removed last, because a process may be running it.
const written = new Set(Object.keys(metafile.outputs).map((path) => join(own, path)))
for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name)
  if (entry.isFile() && !written.has(path)) await rm(path)
}
