import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import * as z from 'zod';
import { Secret } from '../secret.ts';
import { existingFile, fileProblem, runEvenIfInvalid } from './values.ts';

/** OpenSSL's own words are left out: they help nobody, and the text may be a key. */
function certificateProblem(text: string): string | undefined {
  try {
    // Without the marks DER would pass here, and count for nothing where connections are made.
    if (text.includes('-----BEGIN ') && new X509Certificate(text).raw.length > 0) return undefined;
  } catch {
    // Told below.
  }
  return 'holds no certificate in PEM';
}

function keyProblem(text: string): string | undefined {
  try {
    createPrivateKey(text);
    return undefined;
  } catch {
    return 'holds no private key in PEM, or one that is encrypted';
  }
}

/** The texts of the files of a tls block, all of one moment. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Secret;
}

/** @throws the file system's error */
export function readTlsFiles({ caFile, certFile, keyFile }: TlsFileNames): TlsFiles {
  return {
    ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }),
    ...(certFile !== undefined && { cert: readFileSync(certFile, 'utf8') }),
    ...(keyFile !== undefined && { key: new Secret(readFileSync(keyFile, 'utf8')) }),
  };
}

interface TlsFileNames {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** Whether the key belongs to the certificate. */
const isPair = ({ cert, key }: TlsFiles): boolean =>
  cert === undefined || key === undefined || new X509Certificate(cert).checkPrivateKey(createPrivateKey(key.reveal()));

/** The tls block, the same wherever TLS is spoken. */
export const tlsBlock = z
  .strictObject({
    caFile: existingFile(
      'PEM file of the authorities to trust, instead of the system’s.',
      certificateProblem,
    ).optional(),
    certFile: existingFile('PEM file of the client certificate, with its chain.', certificateProblem).optional(),
    keyFile: existingFile('PEM file of the client certificate’s key.', keyProblem).optional(),
    minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2').describe('Oldest protocol version to accept.'),
    servername: z.string().min(1).optional().describe('Name to ask for and to check, where it is not the address’s.'),
    fingerprint256: z
      .string()
      .regex(/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}$/, 'write 32 hex pairs joined by colons')
      .optional()
      .describe('SHA-256 fingerprint that the server’s certificate must have besides.'),
    insecureSkipVerify: z.boolean().default(false).describe('Accept any certificate. Warned about at each start.'),
  })
  .superRefine((tls, context) => {
    // Node asks for a certificate's identity only after its chain was verified.
    if (tls.fingerprint256 !== undefined && tls.insecureSkipVerify)
      context.addIssue({
        code: 'custom',
        path: ['insecureSkipVerify'],
        message: 'would leave fingerprint256 unchecked: name the server’s own certificate in caFile instead',
      });
    if ((tls.certFile === undefined) === (tls.keyFile === undefined)) return;
    const missing = tls.certFile === undefined ? 'certFile' : 'keyFile';
    context.addIssue({ code: 'custom', path: [missing], message: 'certFile and keyFile go together' });
  }, runEvenIfInvalid)
  .describe('TLS settings.')
  .transform((tls, context) => {
    try {
      const files = readTlsFiles(tls);
      if (isPair(files)) {
        createSecureContext({ ...files, key: files.key?.reveal(), minVersion: tls.minVersion });
        return { ...tls, files };
      }
      context.addIssue({ code: 'custom', path: ['keyFile'], message: 'the key is not that of the certificate' });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const message =
        'syscall' in (error as Error) ? `a file ${fileProblem(error)}` : `OpenSSL refuses these files (${code})`;
      context.addIssue({ code: 'custom', message });
    }
    return z.NEVER;
  });
/** `files` is what stood in the files when the configuration was read; where it is absent they are read when needed. */
export type TlsOptions = Omit<z.infer<typeof tlsBlock>, 'files'> & { readonly files?: TlsFiles };
