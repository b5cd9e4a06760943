import { StoreError, type StoreErrorCode } from './store.ts'

/** Answers of S3 and of services like it that mean something else than their status says. */
const BY_NAME: Readonly<Record<string, StoreErrorCode>> = {
  NoSuchBucket: 'refused',
  // The request arrived damaged, or was signed for another moment: the next one will not be.
  BadDigest: 'unavailable',
  InvalidDigest: 'unavailable',
  XAmzContentSHA256Mismatch: 'unavailable',
  RequestTimeout: 'unavailable',
  RequestTimeTooSkewed: 'refused',
  SlowDown: 'unavailable',
  OperationAborted: 'unavailable',
  NoSuchUpload: 'unavailable',
  PreconditionFailed: 'unavailable',
  QuotaExceeded: 'full',
  XMinioStorageFull: 'full',
  XMinioStorageQuotaExceeded: 'full',
  CredentialsProviderError: 'refused',
  PermanentRedirect: 'refused',
  AuthorizationHeaderMalformed: 'refused',
}

const ADVICE: Readonly<Partial<Record<StoreErrorCode, string>>> = {
  missing: 'The file is not in the store.',
  refused: 'The bucket denied access. Check its name, its region, the credentials and the policy.',
  unavailable: 'The object store is not available. Try again later.',
  full: 'The object store is full.',
}

/** The result of a request to S3; its error as one of the store, with the SDK's as the cause. */
export async function withStoreErrors<T>(request: Promise<T>, what: string): Promise<T> {
  try {
    return await request
  } catch (error) {
    throw toStoreError(error, what)
  }
}

/** What an error of the SDK means. `what` says what was tried, for the message. */
export function toStoreError(error: unknown, what: string): unknown {
  if (error instanceof StoreError || !(error instanceof Error) || error.name === 'AbortError') return error
  const code = codeOf(error)
  return new StoreError(
    code,
    `${what}: ${ADVICE[code] ?? ''} (${error.name}: ${error.message || 'no response'})`,
    { cause: error },
  )
}

/** The name by which S3 calls an error, also under one of ours. */
export function s3ErrorName(error: unknown): string | undefined {
  if (error instanceof StoreError) return s3ErrorName(error.cause)
  return error instanceof Error ? error.name : undefined
}

function codeOf(error: Error): StoreErrorCode {
  const known = BY_NAME[error.name]
  if (known) return known
  switch (statusOf(error)) {
    case 404:
      return 'missing'
    case 301:
    case 400:
    case 401:
    case 403:
    case 405:
      return 'refused'
    case 507:
      return 'full'
    default:
      return 'unavailable'
  }
}

function statusOf(error: Error): number | undefined {
  if (!('$metadata' in error) || typeof error.$metadata !== 'object' || error.$metadata === null)
    return undefined
  const { $metadata } = error
  return 'httpStatusCode' in $metadata && typeof $metadata.httpStatusCode === 'number'
    ? $metadata.httpStatusCode
    : undefined
}
