import { spawn } from 'node:child_process'

// When the launcher is killed, the kernel signals its children (see endWithLauncher), but not their children, such as the
// engine of a worker. This shell reads the current process groups, one line for each change; the end of its input is the end
// of the launcher. After a clean end the list is empty.
const SCRIPT = `
groups=
while read -r line; do groups=$line; done
[ -n "$groups" ] || exit 0
for group in $groups; do kill -TERM "-$group"; done
tenth=0
while [ $tenth -lt 100 ]; do
  tenth=$((tenth + 1))
  alive=
  for group in $groups; do kill -0 "-$group" && alive=yes; done
  [ -n "$alive" ] || exit 0
  sleep 0.1
done
for group in $groups; do kill -KILL "-$group"; done
`

/** @type {import('node:child_process').ChildProcess | undefined} */
let reaper

/** Starts the reaper, before the first program that it may have to kill. */
export function startReaper() {
  if (reaper === undefined) {
    reaper = spawn('sh', ['-c', SCRIPT], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    reaper.unref()
    // Without a reaper (it was killed) a clean stop still works.
    reaper.stdin?.on('error', () => reaper?.stdin?.destroy())
    if (reaper.stdin !== null && 'unref' in reaper.stdin && typeof reaper.stdin.unref === 'function')
      reaper.stdin.unref()
  }
}

/**
 * Sends the reaper the process groups to kill if this process is killed.
 * @param {Iterable<number>} groups
 */
export function updateReaper(groups) {
  if (reaper?.stdin?.writable) reaper.stdin.write(`${[...groups].join(' ')}\n`)
}
