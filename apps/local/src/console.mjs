const started = performance.now()

// A closed terminal or a finished `| head` must not keep the launcher from stopping what it started.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (!('code' in error) || (error.code !== 'EPIPE' && error.code !== 'EIO')) throw error
  })
}

/** @returns {string} seconds since the launcher began, such as "[  1.2 s]" */
function clock() {
  return `[${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s]`
}

/**
 * Prints one short line with the elapsed seconds.
 * @param {string} text
 */
export function info(text) {
  console.log(`${clock()} ${text}`)
}

/**
 * Prints a problem on stderr; further lines are indented below the first.
 * @param {string} text
 */
export function warn(text) {
  console.error(`${clock()} ${text.split('\n').join('\n          ')}`)
}

/**
 * Prints what is being done, repeats it every ten seconds, and returns the result of the work.
 * @template T
 * @param {string} text
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function during(text, work) {
  info(`${text} …`)
  const reminder = setInterval(() => info(`still: ${text} …`), 10_000)
  try {
    return await work()
  } finally {
    clearInterval(reminder)
  }
}
