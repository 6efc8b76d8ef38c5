import { auditEvent } from '../../src/event/event.ts';
import { Interval } from '../../src/evidence/interval.ts';
import type { SigningKey } from '../../src/evidence/keys.ts';
import { leafHash } from '../../src/evidence/merkle.ts';
import { lineHash, type SealedOperation, signSeal } from '../../src/evidence/seal.ts';
import type { EventStatus } from '../../src/evidence/unsealed.ts';

/** One event of a chain, as QA Sphere sent it and as the sink delivered it. */
export interface ChainEvent {
  readonly id: number;
  /** Default: delivered. */
  readonly status?: EventStatus;
  /** Default: the event's own text. */
  readonly record?: string;
  readonly resent?: string;
}

export interface SealOptions {
  /** The last id of the interval; default: that of its last event. */
  readonly to?: number;
  /** Length of the interval. */
  readonly hours?: number;
  readonly operations?: readonly SealedOperation[];
  /** Begins the interval elsewhere than the one before ended. */
  readonly from?: number;
  readonly nextKey?: SigningKey;
  /** The seal that this one amends. */
  readonly amends?: number;
}

const startMs = Date.parse('2026-11-01T00:00:00Z');
const hourMs = 3_600_000;

/** The text of an event, as the API would send it. */
const eventText = (id: number): string =>
  `{"id":${id},"user":{"id":7,"name":"Ada","email":"ada@acme.example"},"action":"project.update","createdAt":"${new Date(startMs + id * 1000).toISOString()}"}`;

/** Makes the seals and records of a chain, as a pipeline would. */
export class ChainBuilder {
  /** Without line ends. */
  readonly lines: string[] = [];
  readonly records: string[] = [];
  readonly #tenant: string;
  readonly #sink: string;
  #key: SigningKey | undefined;
  #interval: Interval;
  #nowMs = startMs;

  constructor({
    key,
    sink = 'lake',
    tenant = 'acme.eu1.qasphere.com',
  }: { key?: SigningKey; sink?: string; tenant?: string } = {}) {
    this.#key = key;
    this.#sink = sink;
    this.#tenant = tenant;
    this.#interval = Interval.first(0n, key?.id ?? null);
    this.#interval.fromAtMs = startMs;
  }

  seal(events: readonly ChainEvent[], options: SealOptions = {}): this {
    const { to, hours = 1, operations = [], from, nextKey, amends } = options;
    if (from !== undefined) {
      const last = JSON.parse(this.lines.at(-1) ?? '') as Parameters<typeof Interval.following>[0];
      this.#interval = Interval.following(last, this.lines.at(-1) ?? '', {
        key: this.#interval.key,
        after: BigInt(from),
      });
    }
    for (const { id, status = 'delivered', record = eventText(id), resent } of events) {
      const event = auditEvent({ id: BigInt(id), text: Buffer.from(eventText(id)), receivedAtMs: 0 });
      const isDelivered = status === 'delivered';
      if (isDelivered) this.records.push(record);
      this.#interval.add({
        ...{ ids: [event.id], status, resent, times: [event.createdAtMs], sources: [leafHash(event.id, event.text)] },
        records: isDelivered ? [leafHash(event.id, Buffer.from(record))] : undefined,
      });
    }
    const last = to ?? events.at(-1)?.id;
    if (last !== undefined && amends === undefined) this.#interval.advance(BigInt(last));
    this.#nowMs += hours * hourMs;
    const facts = {
      ...{ tenant: this.#tenant, sink: this.#sink, config: 'c0'.repeat(32), proof: 'fsync', epoch: 0 },
      software: { name: 'qasphere-siem-forwarder', version: '1.0.0' },
    };
    const unsigned = {
      ...this.#interval.seal(this.#nowMs, facts, operations),
      ...(nextKey && { nextKey: nextKey.publicDer }),
      ...(amends !== undefined && { amends }),
    };
    const { line } = signSeal(unsigned, this.#key);
    this.lines.push(line);
    this.#key = nextKey ?? this.#key;
    this.#interval = Interval.following(unsigned, line, { key: this.#key?.id ?? null });
    return this;
  }

  /** Seal number `seq` with other members, signed again; the seals after it do not follow from it. */
  static altered(line: string, change: object, key: SigningKey | undefined): string {
    const {
      key: _,
      sig: __,
      ...rest
    } = JSON.parse(line) as Parameters<typeof signSeal>[0] & { key: unknown; sig: unknown };
    return signSeal({ ...rest, ...change }, key).line;
  }

  /** `prev` of the seal after this line. */
  static hashOf(line: string): string {
    return lineHash(line);
  }
}
