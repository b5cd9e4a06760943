/** An exact decimal: `digits / 10^scale`. */
interface Decimal {
  digits: bigint
  scale: number
}

/** Returns the exact sum of decimal numbers given as texts (`-12.50`), with as many decimals as the longest of them. */
export function addDecimals(numbers: readonly string[]): string {
  const parsed = numbers.map(parse)
  const scale = Math.max(0, ...parsed.map((number) => number.scale))
  const sum = parsed.reduce(
    (total, number) => total + number.digits * 10n ** BigInt(scale - number.scale),
    0n,
  )
  return render({ digits: sum, scale })
}

/** Returns the negative of a decimal number given as text. */
export function negated(number: string): string {
  const { digits, scale } = parse(number)
  return render({ digits: -digits, scale })
}

function parse(text: string): Decimal {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? []
  if (whole === '') throw new Error(`"${text}" is not a decimal number`)
  return { digits: BigInt(`${sign}${whole}${fraction}`), scale: fraction.length }
}

function render({ digits, scale }: Decimal): string {
  const sign = digits < 0n ? '-' : ''
  const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0')
  return scale === 0 ? `${sign}${text}` : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`
}
