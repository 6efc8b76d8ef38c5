import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why certificates can't be made here, or undefined if they can. */
export const certificatesMissing: string | undefined = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'openssl is not installed';
  }
})();

export interface Leaf {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface LeafOptions {
  readonly commonName?: string;
  /** For example `DNS:localhost,IP:127.0.0.1`; omitted if ''. */
  readonly names?: string;
  /** Days until it ends; negative: days since it ended. */
  readonly days?: number;
}

/** A certificate authority and the certificates it signs, in a temporary directory. */
export class Authority implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'certificates-'));
  readonly caFile = join(this.#directory, 'ca.pem');
  readonly #caKey = join(this.#directory, 'ca.key');
  #count = 0;

  constructor(name = 'Test Authority') {
    this.#openssl('req', '-x509', ...newKey(this.#caKey), '-out', this.caFile, '-days', '30', '-subj', `/CN=${name}`);
  }

  leaf(options: LeafOptions = {}): Leaf {
    const base = join(this.#directory, `leaf${++this.#count}`);
    const [certFile, keyFile, requestFile, extensionFile] = ['pem', 'key', 'csr', 'ext'].map(
      (end) => `${base}.${end}`,
    ) as [string, string, string, string];
    const names = options.names ?? 'DNS:localhost,IP:127.0.0.1';
    writeFileSync(extensionFile, names === '' ? 'basicConstraints=CA:FALSE\n' : `subjectAltName=${names}\n`);
    this.#openssl('req', ...newKey(keyFile), '-out', requestFile, '-subj', `/CN=${options.commonName ?? 'localhost'}`);
    const days = options.days ?? 30;
    const signing = ['-CA', this.caFile, '-CAkey', this.#caKey, '-CAcreateserial', '-extfile', extensionFile];
    if (days >= 0)
      this.#openssl('x509', '-req', '-in', requestFile, '-out', certFile, '-days', String(days), ...signing);
    else this.#sign(requestFile, certFile, extensionFile, days);
    return { certFile, keyFile };
  }

  /** `openssl ca` alone can date a certificate into the past. */
  #sign(requestFile: string, certFile: string, extensionFile: string, days: number): void {
    const database = join(this.#directory, 'index.txt');
    const config = join(this.#directory, 'ca.cnf');
    const serial = join(this.#directory, 'serial');
    writeFileSync(database, '');
    writeFileSync(serial, '1000\n');
    writeFileSync(
      config,
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${database}\nserial=${serial}\nnew_certs_dir=${this.#directory}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n`,
    );
    const date = (daysFromNow: number) =>
      `${new Date(Date.now() + daysFromNow * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, '')}`;
    const dates = ['-startdate', date(days - 10), '-enddate', date(days)];
    const signing = ['-cert', this.caFile, '-keyfile', this.#caKey, '-extfile', extensionFile];
    this.#openssl(
      'ca',
      '-batch',
      '-config',
      config,
      '-in',
      requestFile,
      '-out',
      certFile,
      '-notext',
      ...dates,
      ...signing,
    );
  }

  #openssl(...words: string[]): void {
    execFileSync('openssl', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const newKey = (file: string) => [
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:prime256v1',
  '-nodes',
  '-keyout',
  file,
];
