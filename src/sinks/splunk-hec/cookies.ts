import { httpDateMs } from '../../lib/http-answer.ts';

const maxCookies = 16;
const maxLength = 4096;
/** RFC 6265 section 4.1.1: cookie-name and cookie-value, the quotes included. */
const pair = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("?[!#-+\--:<-[\]-~]*"?)$/;

/**
 * The cookies that a load balancer sets, so that later requests reach the same indexer (AWS: AWSELB, AWSALB and their CORS
 * variants, or any name that an administrator chose). All paths of one origin share them, as in Splunk's own clients. A
 * cookie jar of RFC 6265 would add paths, domains and dates that no balancer in front of a collector needs.
 */
export class Cookies {
  readonly #values = new Map<string, string>();

  /** Reads the Set-Cookie headers of an answer; true if a value is new or has changed. */
  take(headers: readonly string[] | undefined, nowMs: number): boolean {
    let changed = false;
    for (const header of headers ?? []) {
      const [first = '', ...attributes] = header.split(';').map((part) => part.trim());
      const match = pair.exec(first);
      const [, name, value] = match ?? [];
      if (name === undefined || value === undefined || first.length > maxLength) continue;
      if (isExpired(attributes, nowMs)) {
        changed = this.#values.delete(name) || changed;
      } else if (this.#values.get(name) !== value && (this.#values.has(name) || this.#values.size < maxCookies)) {
        this.#values.set(name, value);
        changed = true;
      }
    }
    return changed;
  }

  get empty(): boolean {
    return this.#values.size === 0;
  }

  /** The Cookie header; undefined if there is no cookie. */
  get header(): string | undefined {
    if (this.empty) return undefined;
    return Array.from(this.#values, ([name, value]) => `${name}=${value}`).join('; ');
  }

  /** Pairs of name and value, for `from`. */
  toJSON(): [string, string][] {
    return [...this.#values];
  }

  /** Reads the pairs of `toJSON`; invalid ones are left out. */
  static from(pairs: readonly (readonly [string, string])[]): Cookies {
    const cookies = new Cookies();
    cookies.take(
      pairs.map(([name, value]) => `${name}=${value}`),
      0,
    );
    return cookies;
  }
}

/** RFC 6265 section 5.3: Max-Age takes precedence over Expires. */
function isExpired(attributes: readonly string[], nowMs: number): boolean {
  const of = (name: string) =>
    attributes.find((text) => text.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
  const maxAge = of('max-age');
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return Number(maxAge) <= 0;
  const expires = of('expires');
  return (httpDateMs(expires) ?? Number.POSITIVE_INFINITY) <= nowMs;
}
