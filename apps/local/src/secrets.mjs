import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LaunchError, systemCode } from './errors.mjs'

/** @typedef {{ jwtSecret: string, adminPassword: string }} Secrets */

/**
 * Reads the secrets of this data folder, generating them the first time. The environment overrides them.
 * @param {string} dataDir
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Secrets}
 */
export function keepSecrets(dataDir, env = process.env) {
  const file = join(dataDir, 'secrets.json')
  const kept = read(file) ?? generate(file)
  return {
    jwtSecret: env.ADUANA_JWT_SECRET || kept.jwtSecret,
    adminPassword: env.ADUANA_ADMIN_PASSWORD || kept.adminPassword,
  }
}

/**
 * @param {string} file
 * @returns {Secrets | undefined}
 */
function read(file) {
  try {
    const { jwtSecret, adminPassword } = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof jwtSecret === 'string' && typeof adminPassword === 'string')
      return { jwtSecret, adminPassword }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new LaunchError(
    `${file} is damaged. Delete it: new secrets are generated, and all users must log in again.`,
  )
}

/**
 * @param {string} file
 * @returns {Secrets}
 */
function generate(file) {
  const secrets = {
    jwtSecret: randomBytes(32).toString('base64url'),
    adminPassword: randomBytes(12).toString('base64url'),
  }
  writeFileSync(`${file}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return secrets
}
