import { cleanCode } from '@aduana/contracts/characters'

/**
 * Returns the form in which header names are compared: no case, no accents, no invisible characters, `_` for every
 * sequence of other signs. `Peso Neto (kg) ` becomes `peso_neto_kg`.
 */
export function normaliseName(name: string): string {
  return cleanCode(name)
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '_')
    .replace(/^_+|_+$/g, '')
}
