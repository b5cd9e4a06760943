const THOUSANDS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** A whole number as messages show it: `120,000`. */
export function figure(number: number | bigint): string {
  return THOUSANDS.format(number)
}

/** A number of things: `1 character`, `2,000 characters`. */
export function counted(number: number | bigint, one: string, many = `${one}s`): string {
  return `${figure(number)} ${number === 1 || number === 1n ? one : many}`
}
