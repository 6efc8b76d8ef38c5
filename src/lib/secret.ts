import { inspect } from 'node:util';

/** A value that prints as [secret] however it is printed; only `reveal` gives it away. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [inspect.custom](): string {
    return '[secret]';
  }
}

/** What the other side said, less the secret where it quotes it. One of a few letters would be found in any word. */
export function withoutSecret(secret: Secret, said: Buffer): Buffer {
  const text = secret.reveal();
  if (text.length < 8 || !said.includes(text)) return said;
  return Buffer.from(said.toString('latin1').replaceAll(text, '[secret]'), 'latin1');
}

/** Where a secret comes from: `current` is what holds now, `refresh` reads its file again. */
export class SecretSource {
  /** The file it is read from, where it has one. */
  readonly path: string | undefined;
  readonly #read: () => Secret;
  #current: Secret;
  constructor(read: () => Secret, path?: string) {
    this.path = path;
    this.#read = read;
    this.#current = read();
  }
  get current(): Secret {
    return this.#current;
  }
  /** Reads again; true where the value changed. A file that can't be read now leaves the old value. */
  refresh(): boolean {
    if (this.path === undefined) return false;
    let next: Secret;
    try {
      next = this.#read();
    } catch {
      return false;
    }
    const changed = next.reveal() !== this.#current.reveal();
    this.#current = next;
    return changed;
  }
}
