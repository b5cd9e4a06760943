import { counted } from '@aduana/contracts/figures'

/** A decimal number, exact, with separators: `1,234.500`. */
export function formatDecimal(number: string): string {
  const [whole = '', fraction] = number.split('.')
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',')
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

/** Bytes: `512 B`, `1.5 kB`, `196 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let [value, unit] = [bytes, 0]
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** Seconds: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60]
  if (minutes < 60) return `${minutes} min ${String(rest).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}

/** Whole seconds that are left: `3 s left`. */
export function formatLeft(seconds: number): string {
  return `${seconds < 9.5 ? `${Math.ceil(seconds)} s` : formatSeconds(seconds)} left`
}

/** Rows per second: `1 row/s`, `312,000 rows/s`. */
export function formatRate(rowsPerSecond: number): string {
  return `${counted(rowsPerSecond, 'row')}/s`
}
