// The figures that benchmarks are given, take and tell.

/** The whole numbers of the command line, in order. */
export const givenNumbers = () => process.argv.slice(2).map(Number).filter(Number.isInteger)

/** The median of some numbers. */
export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

/** Milliseconds as seconds. */
export const seconds = (milliseconds, digits = 2) => (milliseconds / 1000).toFixed(digits)

/** How long something takes, in milliseconds. */
export async function timed(work) {
  const began = performance.now()
  await work()
  return performance.now() - began
}
