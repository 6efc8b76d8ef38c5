import { daysUntil, expiryWarningDays } from '../../lib/certificate.ts';
import type { SinkDeps } from '../sink.ts';

const dayMs = 86_400_000;

/** Warns, once a day for each certificate, from 21 days before it ends. */
export class CertificateExpiry {
  readonly #deps: SinkDeps;
  readonly #where: string;
  readonly #ends = new Map<string, number>();
  readonly #warnedAtMs = new Map<string, number>();

  constructor(deps: SinkDeps, where: string) {
    this.#deps = deps;
    this.#where = where;
  }

  /** `whose` certificate ends at `endsMs`, milliseconds since the epoch. */
  note(whose: string, endsMs: number | undefined): void {
    if (endsMs === undefined || Number.isNaN(endsMs)) this.#ends.delete(whose);
    else {
      this.#ends.set(whose, endsMs);
      const side = whose === 'client' ? 'client' : 'server';
      this.#deps.emit({ event: 'tls.certificate', peer: `sink/${this.#deps.name}`, whose: side, endsAtMs: endsMs });
    }
    this.check();
  }

  check(): void {
    const now = this.#deps.now();
    for (const [whose, endsMs] of this.#ends) {
      const days = daysUntil(endsMs, now);
      const warnedAtMs = this.#warnedAtMs.get(whose);
      if (days > expiryWarningDays || (warnedAtMs !== undefined && now - warnedAtMs < dayMs)) continue;
      this.#warnedAtMs.set(whose, now);
      const when = new Date(endsMs).toISOString();
      this.#deps.emit({
        event: 'sink.warning',
        sink: this.#deps.name,
        topic: 'certificate',
        detail: `${this.#where}: the ${whose} certificate ${days < 0 ? 'ended' : 'ends'} at ${when} (${days} days)`,
      });
    }
  }
}
