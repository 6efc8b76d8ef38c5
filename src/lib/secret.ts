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

/** An answer of the other side, with the secret masked if it is quoted. A secret of a few letters would match any word. */
export function withoutSecret(secret: Secret, answer: Buffer): Buffer {
  const text = secret.reveal();
  if (text.length < 8 || !answer.includes(text)) return answer;
  return Buffer.from(answer.toString('latin1').replaceAll(text, '[secret]'), 'latin1');
}

/** A file that contains no usable secret; the message says why and does not quote it. */
export class SecretProblem extends Error {}

/** The source of a secret: `current` is the value in use, `refresh` reads its file again. */
export class SecretSource {
  /** The file, if the secret comes from one. */
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
  /** Reads the file again; returns whether the value changed. An unreadable or unusable file keeps the old value. */
  refresh(): boolean {
    if (this.path === undefined) return false;
    let next: Secret;
    try {
      next = this.#read();
    } catch (error) {
      if (error instanceof SecretProblem || 'syscall' in (error as Error)) return false;
      throw error;
    }
    const changed = next.reveal() !== this.#current.reveal();
    this.#current = next;
    return changed;
  }
}
