type Claim = (error: unknown) => boolean;

/**
 * Errors that reach no caller: a rejection that nothing awaits, a throw in a timer. They are bugs and end the program, unless
 * foreign code that runs in it is known to be their origin.
 */
export class StrayErrors {
  readonly #claims = new Map<string, Claim>();

  /** `claim` reports the error and returns true if it is of foreign code. It replaces an earlier one of this name. */
  register(name: string, claim: Claim): void {
    this.#claims.set(name, claim);
  }

  isClaimed(error: unknown): boolean {
    return [...this.#claims.values()].some((claim) => claim(error));
  }
}
