import { printable } from './printable.ts';

/** The system's or OpenSSL's code of an error, for example ECONNREFUSED. */
export function errorCode(error: unknown): string {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } };
  const [first] = eachError(error);
  return String(code ?? cause?.code ?? first?.code ?? 'ERR_UNKNOWN');
}

/**
 * The message of an error in one printable line. If a name has several addresses Node throws an AggregateError without a
 * message: then each address with its own error.
 */
export function errorText(error: unknown): string {
  const errors = eachError(error);
  if (errors.length === 0) return printable((error as Error).message || errorCode(error));
  return printable(errors.map(({ message, code }) => message || String(code)).join('; '), 600);
}

/** The errors of the single attempts; empty if there was one attempt. */
function eachError(error: unknown): readonly NodeJS.ErrnoException[] {
  if (error instanceof AggregateError) return error.errors as NodeJS.ErrnoException[];
  return error instanceof Error && error.cause instanceof AggregateError ? eachError(error.cause) : [];
}
