import { httpDateMs } from '../../lib/http-answer.ts';

const most = 16;
const longest = 4096;
/** RFC 6265 section 4.1.1: cookie-name and cookie-value, the quotes included. */
const pair = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("?[!#-+\--:<-[\]-~]*"?)$/;

/**
 * The cookies that what stands before a collector sets, so that later requests reach the same indexer (AWS: AWSELB,
 * AWSALB and their CORS twins; or what an administrator named). All paths of one origin share them; Splunk's own
 * clients do the same.
 */
export class Cookies {
  readonly #values = new Map<string, string>();

  /** Takes the answer's Set-Cookie headers; true where a value is new or another one than before. */
  take(headers: readonly string[] | undefined, nowMs: number): boolean {
    let changed = false;
    for (const header of headers ?? []) {
      const [first = '', ...attributes] = header.split(';').map((part) => part.trim());
      const match = pair.exec(first);
      const [, name, value] = match ?? [];
      if (name === undefined || value === undefined || first.length > longest) continue;
      if (ended(attributes, nowMs)) {
        changed = this.#values.delete(name) || changed;
      } else if (this.#values.get(name) !== value && (this.#values.has(name) || this.#values.size < most)) {
        this.#values.set(name, value);
        changed = true;
      }
    }
    return changed;
  }

  get empty(): boolean {
    return this.#values.size === 0;
  }

  /** The Cookie header, or undefined where there are none. */
  get header(): string | undefined {
    if (this.empty) return undefined;
    return Array.from(this.#values, ([name, value]) => `${name}=${value}`).join('; ');
  }

  /** As `[name, value]`, to be remembered. */
  toJSON(): [string, string][] {
    return [...this.#values];
  }

  /** What `toJSON` gave; pairs that no cookie can have are left out. */
  static from(pairs: readonly (readonly [string, string])[]): Cookies {
    const cookies = new Cookies();
    cookies.take(
      pairs.map(([name, value]) => `${name}=${value}`),
      0,
    );
    return cookies;
  }
}

/** RFC 6265 section 5.3: Max-Age wins over Expires. */
function ended(attributes: readonly string[], nowMs: number): boolean {
  const of = (name: string) =>
    attributes.find((text) => text.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
  const maxAge = of('max-age');
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return Number(maxAge) <= 0;
  const expires = of('expires');
  return (httpDateMs(expires) ?? Number.POSITIVE_INFINITY) <= nowMs;
}
