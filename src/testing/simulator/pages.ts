import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { type EventLog, idOf } from './event-log.ts';

const zip = promisify(gzip);
/** Bodies of pages that can't change any more are kept up to this size, without their compressed form. */
const keptBytes = 8 * 1024 ** 2;

/** The body of an answer, and its compressed form when asked for. */
export interface Body {
  readonly bytes: Buffer;
  zipped(): Promise<Buffer>;
}

export function bodyOf(bytes: Buffer): Body {
  let zipped: Promise<Buffer> | undefined;
  return {
    bytes,
    zipped() {
      zipped ??= zip(bytes, { level: constants.Z_BEST_SPEED });
      return zipped;
    },
  };
}

/** Pages of a log as the API sends them: `{ after, count, events }`, where `count` is how many came. */
export interface Pages {
  body(after: bigint, count: number): Body;
  /** Forgets what was kept: for a log that was changed. */
  forget(): void;
}

export function pagesOf(log: EventLog): Pages {
  const kept = new Map<string, Body>();
  let bytes = 0;

  const keep = (key: string, body: Body) => {
    if (body.bytes.length > keptBytes) return;
    kept.set(key, body);
    bytes += body.bytes.length;
    for (const [oldest, { bytes: old }] of kept) {
      if (bytes <= keptBytes) break;
      kept.delete(oldest);
      bytes -= old.length;
    }
  };

  return {
    body(after, count) {
      const key = `${after}/${count}`;
      const known = kept.get(key);
      if (known !== undefined) return known;
      const texts = log.page(after, count);
      const last = texts.length === 0 ? after : (idOf(texts.at(-1) ?? '') ?? after);
      const body = bodyOf(Buffer.from(`{"after":${last},"count":${texts.length},"events":[${texts.join(',')}]}`));
      if (texts.length === count && log.fixed?.(last) === true) keep(key, body);
      return body;
    },
    forget() {
      kept.clear();
      bytes = 0;
    },
  };
}
