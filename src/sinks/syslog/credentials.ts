import { type ConnectionOptions, createSecureContext } from 'node:tls';
import type { TlsOptions } from '../../lib/options/tls.ts';
import { type TlsMaterial, tlsMaterial } from '../../lib/tls.ts';

/** What a TLS connection is made with. */
export interface Credentials {
  readonly hasClientCertificate: boolean;
  /** End of the client certificate's validity, milliseconds since the epoch. */
  readonly clientCertificateExpiresMs: number | undefined;
  /** Options of tls.connect, the files read again: a renewed certificate needs no restart. */
  current(): ConnectionOptions;
}

/**
 * The credentials of a tls block. Files that can't be read later leave the ones before, and `onProblem` hears of it.
 * @throws the file system's or OpenSSL's error where they can't be read now
 */
export function credentials(options: TlsOptions | undefined, onProblem: (detail: string) => void): Credentials {
  let { material, context } = read(options);
  return {
    hasClientCertificate: options?.certFile !== undefined,
    get clientCertificateExpiresMs() {
      return material?.clientCertificateExpiresMs;
    },
    current() {
      try {
        ({ material, context } = read(options && withoutFiles(options)));
      } catch (error) {
        onProblem(`the files of tls can't be read again, the ones read before are used: ${(error as Error).message}`);
      }
      const { rejectUnauthorized = true, servername, checkServerIdentity } = material?.secure ?? {};
      return {
        secureContext: context,
        rejectUnauthorized,
        ...(servername !== undefined && { servername }),
        ...(checkServerIdentity !== undefined && { checkServerIdentity }),
      };
    },
  };
}

/** Read again rather than as they were. */
function withoutFiles({ files: _, ...options }: TlsOptions): TlsOptions {
  return options;
}

function read(options: TlsOptions | undefined) {
  const material: TlsMaterial | undefined = tlsMaterial(options);
  const { ca, cert, key, minVersion = 'TLSv1.2' } = material?.secure ?? {};
  const context = createSecureContext({
    minVersion,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  });
  return { material, context };
}
