/**
 * Returns the address of a service that the test command has started.
 * @throws Error with instructions to run the tests; always in a unit test
 */
export function serviceUrl(name: 'TEST_DATABASE_URL' | 'TEST_REDIS_URL'): string {
  const url = process.env[name]
  if (url !== undefined && url !== '') return url
  throw new Error(
    `${name} is not set. Run the tests with "npm test", which starts PostgreSQL and Redis for them. The unit tier has neither: a test that needs them imports @aduana/testkit/database, redis or settings itself, or through a module of tests.`,
  )
}
