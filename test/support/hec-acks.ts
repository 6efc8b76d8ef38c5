/** The acknowledgements of one indexer: per channel a count from 0, and the ids that were not reported yet. */
export class AckMemory {
  #channels = new Map<string, { next: number; open: Map<number, number> }>();

  /** A new ackId; it turns true at the poll after `polls` others, or never if that is Infinity. */
  give(channel: string, polls: number): number {
    let state = this.#channels.get(channel);
    if (state === undefined) {
      state = { next: 0, open: new Map() };
      this.#channels.set(channel, state);
    }
    const id = state.next++;
    state.open.set(id, polls);
    return id;
  }

  /** An id is forgotten once it was reported as true; pending, lost and unknown ones are false. */
  ask(channel: string, ids: readonly number[]): Record<string, boolean> {
    const open = this.#channels.get(channel)?.open;
    return Object.fromEntries(
      ids.map((id) => {
        const left = open?.get(id);
        if (left === undefined) return [id, false];
        if (left > 0) {
          open?.set(id, left - 1);
          return [id, false];
        }
        open?.delete(id);
        return [id, true];
      }),
    );
  }

  forget(): void {
    this.#channels = new Map();
  }
}
