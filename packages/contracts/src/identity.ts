import { z } from 'zod'

/** What a person may do: viewer reads, operator imports, steward mends data, admin sees and does everything. */
export const Role = z.enum(['viewer', 'operator', 'steward', 'admin'])
export type Role = z.infer<typeof Role>

const ROLE_ORDER: readonly Role[] = ['viewer', 'operator', 'steward', 'admin']

/** True when `role` includes what `needed` may do. */
export function hasRole(role: Role, needed: Role): boolean {
  return ROLE_ORDER.indexOf(role) >= ROLE_ORDER.indexOf(needed)
}

/** The companies or warehouses that somebody may see; null means all of them. */
export const ScopeList = z.array(z.string().min(1).max(100)).nullable()

/** Who is acting. Every read and write of the system is done on behalf of one. */
export const Principal = z.strictObject({
  userId: z.uuid(),
  email: z.string(),
  role: Role,
  tenant: z.string().min(1).max(100),
  companies: ScopeList,
  warehouses: ScopeList,
})
export type Principal = z.infer<typeof Principal>

/** The user in whose name the results of runs of metrics are imported. Nobody can log in as it. */
export const RUNS_USER_ID = '00000000-0000-4000-8000-00000000a0da'

export const LoginRequest = z.strictObject({
  email: z.email().max(254),
  password: z.string().min(1).max(1024),
})

/** Minimum length of a new password, in characters. */
const MIN_PASSWORD_LENGTH = 8
export const PasswordChange = z.strictObject({
  current: z.string().min(1).max(1024),
  new: z.string().min(MIN_PASSWORD_LENGTH).max(1024),
})

export const LoginResponse = z.strictObject({
  token: z.string(),
  expiresAt: z.iso.datetime(),
  user: Principal,
})
export type LoginResponse = z.infer<typeof LoginResponse>

/** A one-time key that opens one WebSocket within a short time. */
export const TicketResponse = z.strictObject({ ticket: z.string(), expiresAt: z.iso.datetime() })
