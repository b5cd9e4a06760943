const MAX_DECIMALS = 9

/**
 * Formats a share and the limit above which it is as percentages, with enough decimals that the text does not
 * contradict the comparison: 20.004 % is not "20.0 %" when 20 % are allowed, and 99.98 % is not "100.0 %".
 */
export function shareAbove(share: number, limit: number): { share: string; limit: string } {
  const allowed = percentage(limit)
  // For shares below one percent: the first digit that is not zero.
  const least = share < 0.01 ? -Math.floor(Math.log10(share * 100)) : 1
  for (let decimals = least; decimals < MAX_DECIMALS; decimals += 1) {
    const text = (share * 100).toFixed(decimals)
    if (Number(text) > Number(allowed) && (share === 1 || Number(text) < 100))
      return { share: `${text} %`, limit: `${allowed} %` }
  }
  return { share: `${percentage(share)} %`, limit: `${allowed} %` }
}

/** Formats a share as a percentage with the decimals that it has, at most nine. */
export function percentage(share: number): string {
  return String(Number((share * 100).toFixed(MAX_DECIMALS)))
}
