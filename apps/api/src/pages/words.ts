/** The texts of the pages of the API, in both languages. */
const WORDS = {
  en: {
    lang: 'en',
    title: 'Aduana',
    claim:
      'Import files: records are checked, rejects are kept for correction, and good records are loaded exactly once.',
    logIn: 'Log in',
    logOut: 'Log out',
    email: 'E-mail',
    password: 'Password',
    wrong: 'Wrong e-mail or password.',
    tooMany: 'Too many failed logins. Wait a few minutes and try again.',
    busy: 'Too many users are logging in. Try again in a moment.',
    docs: 'API reference',
    queues: 'Queues and flows (admins)',
    health: 'Health',
  },
  es: {
    lang: 'es',
    title: 'Aduana',
    claim:
      'Importe archivos: los registros se validan, los rechazados se conservan para corregirlos y los válidos se cargan una sola vez.',
    logIn: 'Iniciar sesión',
    logOut: 'Cerrar sesión',
    email: 'Correo electrónico',
    password: 'Contraseña',
    wrong: 'Correo electrónico o contraseña incorrectos.',
    tooMany: 'Demasiados intentos fallidos. Espere unos minutos e inténtelo de nuevo.',
    busy: 'Demasiados usuarios están iniciando sesión. Inténtelo de nuevo en un momento.',
    docs: 'Referencia de la API',
    queues: 'Colas y flujos (administradores)',
    health: 'Estado del servicio',
  },
} as const

export type Words = (typeof WORDS)[keyof typeof WORDS]

/** Returns the texts in the language that a browser prefers. English is the default. */
export function wordsFor(acceptLanguage: string | undefined): Words {
  const wanted = (acceptLanguage ?? '')
    .split(',')
    .map((part) => {
      const [tag = '', quality] = part.trim().split(';q=')
      return { tag: tag.slice(0, 2).toLowerCase(), quality: quality === undefined ? 1 : Number(quality) }
    })
    .filter(({ tag }) => tag === 'en' || tag === 'es')
    .sort((one, other) => other.quality - one.quality)
  return wanted[0]?.tag === 'es' ? WORDS.es : WORDS.en
}
