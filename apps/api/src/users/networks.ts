import { isIPv4, isIPv6 } from 'node:net'

/** The network of every address that cannot be parsed. */
const UNREADABLE = 'unreadable'

/**
 * Returns the network of an address: an IPv4 address itself, or the /64 of an IPv6 address, because providers assign each
 * customer at least that much. An IPv4-mapped IPv6 address counts as the IPv4 address.
 */
export function networkOf(address: string): string {
  if (isIPv4(address)) return address
  const plain = address.split('%', 1)[0] ?? ''
  if (!isIPv6(plain)) return UNREADABLE
  const groups = groupsOf(plain)
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (mapped)
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.')
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  // The URL parser writes any form in hexadecimal groups, with one "::" at most.
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [left = '', right] = text.split('::')
  const before = hexadecimals(left)
  if (right === undefined) return before
  const after = hexadecimals(right)
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function hexadecimals(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}
