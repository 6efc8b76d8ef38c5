import { type ConnectionOptions, createSecureContext, type PeerCertificate } from 'node:tls';
import { daysUntil, expiryWarningDays } from '../../lib/certificate.ts';
import type { TlsOptions } from '../../lib/options/tls.ts';
import { tlsMaterial } from '../../lib/tls.ts';
import type { SinkDeps } from '../sink.ts';

const dayMs = 86_400_000;

/** The tls block of one sink, and the certificates seen, whose expiry it warns about. */
export class Credentials {
  readonly hasClientCertificate: boolean;
  readonly #options: TlsOptions | undefined;
  readonly #deps: Pick<SinkDeps, 'name' | 'emit' | 'now'>;
  readonly #where: string;
  #files: ReturnType<typeof read>;
  readonly #expiry = new Map<'collector' | 'client', number>();
  readonly #warnedAtMs = new Map<string, number>();

  /** @throws the file system's or OpenSSL's error if a file can't be read */
  constructor(options: TlsOptions | undefined, deps: Pick<SinkDeps, 'name' | 'emit' | 'now'>, where: string) {
    this.hasClientCertificate = options?.certFile !== undefined;
    this.#options = options;
    this.#deps = deps;
    this.#where = where;
    this.#files = read(options);
  }

  /** Options of tls.connect. Reads the files again: a renewed certificate needs no restart. */
  current(): ConnectionOptions {
    try {
      this.#files = read(this.#options && withoutFiles(this.#options));
    } catch (error) {
      const why = (error as Error).message;
      this.#warn('tls', `the files of tls can't be read again, those read before are used: ${why}`);
    }
    const { material, context } = this.#files;
    const { rejectUnauthorized = true, servername, checkServerIdentity } = material?.secure ?? {};
    return {
      secureContext: context,
      rejectUnauthorized,
      ...(servername !== undefined && { servername }),
      ...(checkServerIdentity !== undefined && { checkServerIdentity }),
    };
  }

  /** Notes the certificates of a new connection. */
  connected(certificate: PeerCertificate): void {
    this.#note('collector', Date.parse(certificate.valid_to));
    this.#note('client', this.#files.material?.clientCertificateExpiresMs);
  }

  /** Warns, once a day for each certificate, from 21 days before it ends. A connection may last for months. */
  warnBeforeExpiry(): void {
    const now = this.#deps.now();
    for (const [whose, endsAtMs] of this.#expiry) {
      const days = daysUntil(endsAtMs, now);
      const warnedAtMs = this.#warnedAtMs.get(whose);
      if (days > expiryWarningDays || (warnedAtMs !== undefined && now - warnedAtMs < dayMs)) continue;
      this.#warnedAtMs.set(whose, now);
      const owner = whose === 'client' ? 'our client' : "the collector's";
      const date = new Date(endsAtMs).toISOString();
      this.#warn(
        'certificate',
        `${this.#where}: ${owner} certificate ${days < 0 ? 'ended' : 'ends'} at ${date} (${days} days)`,
      );
    }
  }

  #note(whose: 'collector' | 'client', endsAtMs: number | undefined): void {
    if (endsAtMs === undefined || Number.isNaN(endsAtMs)) this.#expiry.delete(whose);
    else {
      this.#expiry.set(whose, endsAtMs);
      const side = whose === 'client' ? 'client' : 'server';
      this.#deps.emit({ event: 'tls.certificate', peer: `sink/${this.#deps.name}`, whose: side, endsAtMs });
    }
    this.warnBeforeExpiry();
  }

  #warn(topic: 'tls' | 'certificate', detail: string): void {
    this.#deps.emit({ event: 'sink.warning', sink: this.#deps.name, topic, detail });
  }
}

/** Without the contents that were read with the configuration, so that they are read again. */
function withoutFiles({ files: _, ...options }: TlsOptions): TlsOptions {
  return options;
}

function read(options: TlsOptions | undefined) {
  const material = tlsMaterial(options);
  const { ca, cert, key, minVersion = 'TLSv1.2' } = material?.secure ?? {};
  const context = createSecureContext({
    minVersion,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  });
  return { material, context };
}
