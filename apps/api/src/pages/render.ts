import type { Words } from './words.ts'

/** Returns the login page; `next` is the path to open after the login. */
export function loginPage(words: Words, next: string, error?: string): string {
  return frame(
    words,
    `<form method="post" action="/login">
      <input type="hidden" name="next" value="${escaped(next)}">
      <label>${words.email}<input name="email" type="email" autocomplete="username" required autofocus></label>
      <label>${words.password}<input name="password" type="password" autocomplete="current-password" required></label>
      ${error ? `<p role="alert">${escaped(error)}</p>` : ''}
      <button>${words.logIn}</button>
    </form>`,
  )
}

/** Returns the page at the root, with links. */
export function indexPage(words: Words, email: string | undefined): string {
  const session =
    email === undefined
      ? `<p><a href="/login">${words.logIn}</a></p>`
      : `<form method="post" action="/logout"><p>${escaped(email)}</p><button>${words.logOut}</button></form>`
  return frame(
    words,
    `<p>${words.claim}</p>
    <ul>
      <li><a href="/docs">${words.docs}</a></li>
      <li><a href="/admin/queues">${words.queues}</a></li>
      <li><a href="/health">${words.health}</a></li>
    </ul>
    ${session}`,
  )
}

function frame(words: Words, body: string): string {
  return `<!doctype html>
<html lang="${words.lang}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${words.title}</title>
    <link rel="stylesheet" href="/style.css">
  </head>
  <body>
    <main>
    <h1>${words.title}</h1>
    ${body}
    </main>
  </body>
</html>
`
}

/** The style of these pages. */
export const STYLE = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0; min-height: 100vh; display: grid; place-items: center }
main { width: min(26rem, calc(100vw - 3rem)) }
h1 { margin: 0 0 1rem; letter-spacing: .02em }
form { display: grid; gap: 1rem; margin-top: 1.5rem }
form p { margin: 0 }
label { display: grid; gap: .25rem }
input, button { font: inherit; padding: .5rem .75rem; border: 1px solid #8888; border-radius: .4rem }
button { cursor: pointer; background: #14532d; color: #fff; border-color: transparent }
[role=alert] { color: #b91c1c }
ul { padding-left: 1.2rem }
`

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`)
}
