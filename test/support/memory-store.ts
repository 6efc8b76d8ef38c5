import type { Checkpoint, CheckpointStore } from '../../src/state/store.ts';

/** Checkpoints that outlive a route, and a disk that can be full. */
export class MemoryStore implements CheckpointStore {
  readonly saved = new Map<string, Checkpoint>();
  isFull = false;

  async load(sink: string): Promise<Checkpoint | undefined> {
    return this.saved.get(sink);
  }
  async save(checkpoint: Checkpoint): Promise<void> {
    if (this.isFull) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    this.saved.set(checkpoint.sink, checkpoint);
  }
  async list(): Promise<string[]> {
    return [...this.saved.keys()];
  }
}
