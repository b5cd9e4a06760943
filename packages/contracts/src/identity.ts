import { z } from 'zod'
import { ProblemError } from './problems.ts'

/** What a user may do: a viewer reads, an operator also imports, a steward also corrects data, an admin may do everything. */
export const Role = z.enum(['viewer', 'operator', 'steward', 'admin'])
export type Role = z.infer<typeof Role>

const ROLE_ORDER: readonly Role[] = ['viewer', 'operator', 'steward', 'admin']

/** Returns true if `role` includes `needed`. */
export function hasRole(role: Role, needed: Role): boolean {
  return ROLE_ORDER.indexOf(role) >= ROLE_ORDER.indexOf(needed)
}

/** The companies or warehouses that a user may see; null means all. */
export const ScopeList = z.array(z.string().min(1).max(100)).nullable()

/** The user on whose behalf a read or write is done. */
export const Principal = z.strictObject({
  userId: z.uuid(),
  email: z.string(),
  role: Role,
  tenant: z.string().min(1).max(100),
  companies: ScopeList,
  warehouses: ScopeList,
})
export type Principal = z.infer<typeof Principal>

/** Checks that a user has a role, where `what` begins the message. @throws ProblemError `forbidden` */
export function requireRole({ role }: Pick<Principal, 'role'>, needed: Role, what: string): void {
  if (!hasRole(role, needed))
    throw new ProblemError('forbidden', `${what} requires the role ${needed}. Ask an admin.`)
}

/** The user who imports the results of metric runs. Login as this user is impossible. */
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

/** A one-time ticket that opens one WebSocket within a short time. */
export const TicketResponse = z.strictObject({ ticket: z.string(), expiresAt: z.iso.datetime() })
