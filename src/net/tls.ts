import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { TlsOptions } from '../options/values.ts';

/** A tls block with its files read: fit for tls.connect and https.Agent. */
export interface TlsMaterial {
  readonly secure: Pick<
    ConnectionOptions,
    'ca' | 'cert' | 'key' | 'minVersion' | 'servername' | 'rejectUnauthorized' | 'checkServerIdentity'
  >;
  /** End of the client certificate's validity, milliseconds since the epoch. */
  readonly clientCertificateExpiresMs: number | undefined;
  /** The files it was made of. */
  readonly files: readonly string[];
}

/** Reads the files of a tls block. @throws the file system's or OpenSSL's error, which holds no key */
export function tlsMaterial(options: TlsOptions | undefined): TlsMaterial | undefined {
  if (options === undefined) return undefined;
  const cert = options.certFile === undefined ? undefined : readFileSync(options.certFile);
  const pinned = options.fingerprint256?.toUpperCase();
  return {
    secure: {
      minVersion: options.minVersion,
      rejectUnauthorized: !options.insecureSkipVerify,
      ...(options.caFile !== undefined && { ca: readFileSync(options.caFile) }),
      ...(cert !== undefined && { cert }),
      ...(options.keyFile !== undefined && { key: readFileSync(options.keyFile) }),
      ...(options.servername !== undefined && { servername: options.servername }),
      ...((pinned !== undefined || options.insecureSkipVerify) && {
        checkServerIdentity: (host: string, peer: PeerCertificate) => {
          if (pinned !== undefined && peer.fingerprint256 !== pinned)
            return Object.assign(
              new Error(`the certificate's fingerprint is ${peer.fingerprint256}, not the pinned one`),
              {
                code: 'ERR_TLS_FINGERPRINT',
              },
            );
          return options.insecureSkipVerify ? undefined : checkServerIdentity(options.servername ?? host, peer);
        },
      }),
    },
    clientCertificateExpiresMs: cert === undefined ? undefined : Date.parse(new X509Certificate(cert).validTo),
    files: [options.caFile, options.certFile, options.keyFile].filter((file) => file !== undefined),
  };
}
