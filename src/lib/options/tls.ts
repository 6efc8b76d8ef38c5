import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import * as z from 'zod';
import { Secret } from '../secret.ts';
import { existingFile, fileProblem, runEvenIfInvalid, withoutByteOrderMark } from './values.ts';

/**
 * What is wrong with a PEM file of certificates; undefined if it holds one or more and all can be read. OpenSSL ignores
 * what follows a certificate that it can't read, and one that does not start its line, so each is tried. OpenSSL's own words are left out: the text may be a key.
 */
function certificateProblem(text: string): string | undefined {
  let count = 0;
  for (const { index } of text.matchAll(/-----BEGIN ((X509 |TRUSTED )?CERTIFICATE)-----/g)) {
    count += 1;
    const place = `number ${count}, at line ${text.slice(0, index).split('\n').length}`;
    if (index > 0 && text[index - 1] !== '\n') return `contains a certificate that does not start its line, ${place}`;
    if (!isCertificate(text.slice(index))) return `contains a certificate that can't be read, ${place}`;
  }
  return count === 0 ? 'contains no PEM certificate' : undefined;
}

/** Whether `text` starts with a whole certificate in PEM. DER would be readable too, but is ignored in connections. */
function isCertificate(text: string): boolean {
  const [block] = /^-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/.exec(text) ?? [];
  if (block === undefined) return false;
  try {
    return new X509Certificate(block).raw.length > 0;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return false;
  }
}

function keyProblem(text: string): string | undefined {
  try {
    createPrivateKey(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return 'contains no PEM private key, or an encrypted one';
  }
}

/** The contents of the files of a tls block, read at the same time. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Secret;
}

/** @throws the file system's error, or one that says what is wrong with a certificate */
export function readTlsFiles({ caFile, certFile, keyFile }: TlsFileNames): TlsFiles {
  return {
    ...(caFile !== undefined && { ca: readCertificates(caFile) }),
    ...(certFile !== undefined && { cert: readCertificates(certFile) }),
    ...(keyFile !== undefined && { key: new Secret(readPem(keyFile)) }),
  };
}

/** Without a byte order mark, which would hide the first block from OpenSSL. */
const readPem = (path: string) => withoutByteOrderMark(readFileSync(path, 'utf8'));

function readCertificates(path: string): string {
  const text = readPem(path);
  const problem = certificateProblem(text);
  if (problem !== undefined) throw Object.assign(new Error(`${path} ${problem}`), { code: 'ERR_CERTIFICATE_FILE' });
  return text;
}

interface TlsFileNames {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** Whether the private key matches the certificate. */
const isPair = ({ cert, key }: TlsFiles): boolean =>
  cert === undefined || key === undefined || new X509Certificate(cert).checkPrivateKey(createPrivateKey(key.reveal()));

/** The `tls` block, the same wherever TLS is used. */
export const tlsBlock = z
  .strictObject({
    caFile: existingFile(
      'PEM file of the certificate authorities to trust, instead of the system’s and Node’s bundled ones.',
      certificateProblem,
    ).optional(),
    certFile: existingFile('PEM file of the client certificate, with its chain.', certificateProblem).optional(),
    keyFile: existingFile('PEM file of the client certificate’s private key.', keyProblem).optional(),
    minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2').describe('Oldest protocol version to accept.'),
    servername: z
      .string()
      .min(1)
      .optional()
      .describe('Server name to request and verify, if it differs from the host of the address.'),
    fingerprint256: z
      .string()
      .regex(/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}$/, 'write 32 hex pairs joined by colons')
      .optional()
      .describe('SHA-256 fingerprint that the server’s certificate must also have.'),
    insecureSkipVerify: z.boolean().default(false).describe('Accept any certificate. Logs a warning at each start.'),
  })
  .superRefine((tls, context) => {
    // Node calls checkServerIdentity only after it has verified the chain.
    if (tls.fingerprint256 !== undefined && tls.insecureSkipVerify)
      context.addIssue({
        code: 'custom',
        path: ['insecureSkipVerify'],
        message: 'would leave fingerprint256 unverified: name the server’s own certificate in caFile instead',
      });
    if ((tls.certFile === undefined) === (tls.keyFile === undefined)) return;
    const missing = tls.certFile === undefined ? 'certFile' : 'keyFile';
    context.addIssue({ code: 'custom', path: [missing], message: 'certFile and keyFile require each other' });
  }, runEvenIfInvalid)
  .describe('TLS settings.')
  .transform((tls, context) => {
    try {
      const files = readTlsFiles(tls);
      if (isPair(files)) {
        createSecureContext({ ...files, key: files.key?.reveal(), minVersion: tls.minVersion });
        return { ...tls, files };
      }
      context.addIssue({ code: 'custom', path: ['keyFile'], message: 'the key does not match the certificate' });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const message =
        'syscall' in (error as Error) ? `a file ${fileProblem(error)}` : `OpenSSL rejects these files (${code})`;
      context.addIssue({ code: 'custom', message });
    }
    return z.NEVER;
  });
/** `files` are the contents when the configuration was read; if absent, they are read when needed. */
export type TlsOptions = Omit<z.infer<typeof tlsBlock>, 'files'> & { readonly files?: TlsFiles };
