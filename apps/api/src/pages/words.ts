/** What the few pages of the API itself say, in both languages. */
const WORDS = {
  en: {
    lang: 'en',
    title: 'Aduana',
    claim: 'Files arrive, are inspected, what fails is held and mended, what passes is loaded exactly once.',
    logIn: 'Log in',
    logOut: 'Log out',
    email: 'E-mail',
    password: 'Password',
    wrong: 'The e-mail or the password is wrong.',
    tooMany: 'Too many failed logins. Wait a few minutes.',
    busy: 'Too many people are logging in. Try again in a moment.',
    docs: 'The API, to read and to try',
    queues: 'Queues and flows (admins)',
    health: 'Health',
  },
  es: {
    lang: 'es',
    title: 'Aduana',
    claim:
      'Los archivos llegan, se inspeccionan, lo que falla se retiene y se corrige, lo que pasa se carga una sola vez.',
    logIn: 'Iniciar sesión',
    logOut: 'Cerrar sesión',
    email: 'Correo electrónico',
    password: 'Contraseña',
    wrong: 'El correo o la contraseña no son correctos.',
    tooMany: 'Demasiados intentos fallidos. Espere unos minutos.',
    busy: 'Demasiadas personas están iniciando sesión. Inténtelo de nuevo en un momento.',
    docs: 'La API, para leer y probar',
    queues: 'Colas y flujos (administradores)',
    health: 'Estado',
  },
} as const

export type Words = (typeof WORDS)[keyof typeof WORDS]

/** The language that a browser prefers of the two. */
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
