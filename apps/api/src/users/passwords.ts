import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'

// Of the settings that OWASP considers equivalent, the one with the least memory (8 MiB, ten passes): every thread that
// has hashed a password keeps that memory.
const COST = { N: 2 ** 13, r: 8, p: 10 }
const KEY_BYTES = 32

/** Returns the hash of a password: `scrypt$N$r$p$salt$key`, salt and key in base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  return written(salt, await derive(password, salt, COST))
}

/** Returns true if the password matches the hash. Takes the same time for every wrong password. */
export async function passwordMatches(password: string, hash: string): Promise<boolean> {
  const [scheme, N, r, p, salt, key] = hash.split('$')
  if (scheme !== 'scrypt' || !salt || !key) throw new Error('the password hash is malformed')
  const expected = Buffer.from(key, 'base64url')
  const found = await derive(password, Buffer.from(salt, 'base64url'), {
    N: Number(N),
    r: Number(r),
    p: Number(p),
  })
  return found.length === expected.length && timingSafeEqual(found, expected)
}

/** A hash that no password matches. Used for unknown users, so that the response takes the same work. */
export const NO_PASSWORD = written(randomBytes(16), randomBytes(KEY_BYTES))

function written(salt: Buffer, key: Buffer): string {
  return ['scrypt', COST.N, COST.r, COST.p, salt.toString('base64url'), key.toString('base64url')].join('$')
}

function derive(password: string, salt: Buffer, cost: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Unicode has several spellings of the same letter.
    scrypt(password.normalize('NFKC'), salt, KEY_BYTES, cost, (error, key) =>
      error ? reject(error) : resolve(key),
    )
  })
}
