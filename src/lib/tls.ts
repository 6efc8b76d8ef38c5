import { X509Certificate } from 'node:crypto';
import { type ConnectionOptions, checkServerIdentity, type PeerCertificate } from 'node:tls';
import { readTlsFiles, type TlsOptions } from './options/tls.ts';

/** A tls block with its files read, in the form that tls.connect and https.Agent take. */
export interface TlsMaterial {
  readonly secure: Pick<
    ConnectionOptions,
    'ca' | 'cert' | 'key' | 'minVersion' | 'servername' | 'rejectUnauthorized' | 'checkServerIdentity'
  >;
  /** End of the client certificate's validity, milliseconds since the epoch. */
  readonly clientCertificateExpiresMs: number | undefined;
}

/**
 * Uses the files as they were when the configuration was read, or reads them now if the block does not contain them.
 * @throws the file system's or OpenSSL's error, which contains no key
 */
export function tlsMaterial(options: TlsOptions | undefined): TlsMaterial | undefined {
  if (options === undefined) return undefined;
  const { ca, cert, key } = options.files ?? readTlsFiles(options);
  const pinned = options.fingerprint256?.toUpperCase();
  return {
    secure: {
      minVersion: options.minVersion,
      rejectUnauthorized: !options.insecureSkipVerify,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key: key.reveal() }),
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
  };
}
