import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whether there is an openssl to make certificates with. */
export const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

export interface Certificates extends Disposable {
  readonly directory: string;
  /** Paths of PEM files. */
  readonly ca: string;
  readonly certificate: (
    name: string,
    signer?: 'authority' | 'itself',
  ) => {
    readonly cert: string;
    readonly key: string;
    readonly fingerprint256: string;
  };
}

/** An authority in a new directory, and what it signs: certificates for localhost, 127.0.0.1 and their own name. */
export function certificates(): Certificates {
  const directory = mkdtempSync(join(tmpdir(), 'certificates-'));
  const at = (name: string) => join(directory, name);
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=Test authority',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
  );
  return {
    directory,
    ca: at('ca.pem'),
    certificate(name, signer = 'authority') {
      const [key, request, cert, extensions] = [
        at(`${name}.key`),
        at(`${name}.csr`),
        at(`${name}.pem`),
        at(`${name}.ext`),
      ];
      writeFileSync(extensions, `subjectAltName=DNS:localhost,DNS:${name},IP:127.0.0.1\n`);
      openssl('req', ...newKey, '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
      const signing =
        signer === 'itself' ? ['-key', key] : ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'];
      openssl('x509', '-req', '-in', request, ...signing, '-days', '2', '-extfile', extensions, '-out', cert);
      const fingerprint256 = openssl('x509', '-in', cert, '-noout', '-fingerprint', '-sha256')
        .trim()
        .replace(/^.*=/, '');
      return { cert, key, fingerprint256 };
    },
    [Symbol.dispose]() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A PEM file's text. */
export const pem = (path: string): string => readFileSync(path, 'utf8');
