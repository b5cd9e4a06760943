import { StoreError, type StoreErrorCode } from './store.ts'

/** Errors of S3 and compatible services whose meaning differs from their status. */
const BY_NAME: Readonly<Record<string, StoreErrorCode>> = {
  NoSuchBucket: 'refused',
  // The request was damaged or signed too early: a retry may succeed.
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

/** Returns the result of a request to S3. @throws StoreError with the error of the SDK as its cause */
export async function withStoreErrors<T>(request: Promise<T>, what: string): Promise<T> {
  try {
    return await request
  } catch (error) {
    throw toStoreError(error, what)
  }
}

/** Returns the StoreError for an error of the SDK. `what` names the operation in the message. */
export function toStoreError(error: unknown, what: string): unknown {
  if (error instanceof StoreError || !(error instanceof Error) || error.name === 'AbortError') return error
  const code = codeOf(error)
  return new StoreError(
    code,
    `${what}: ${ADVICE[code] ?? ''} (${error.name}: ${error.message || 'no response'})`,
    { cause: error },
  )
}

/** Returns the S3 name of an error, also of one wrapped in a StoreError. */
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
