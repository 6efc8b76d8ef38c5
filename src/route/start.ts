import type { Cursor } from '../core/event.ts';
import type { Life } from '../core/life.ts';
import type { Source } from '../source/source.ts';

/** Where a sink without a checkpoint begins. */
export type StartAt =
  | { readonly kind: 'beginning' }
  | { readonly kind: 'now' }
  /** From this event on, itself included. */
  | { readonly kind: 'id'; readonly id: Cursor }
  /** From the first event created at or after it; milliseconds since the epoch. */
  | { readonly kind: 'time'; readonly timeMs: number };

export interface Start {
  readonly after: Cursor;
  readonly from: StartAt['kind'];
}

/** Finds the cursor to start behind; undefined where `life` ends first. */
export async function findStart(startAt: StartAt, source: Source, life: Life): Promise<Start | undefined> {
  switch (startAt.kind) {
    case 'beginning':
      return { after: 0n, from: 'beginning' };
    case 'id':
      return { after: startAt.id > 0n ? startAt.id - 1n : 0n, from: 'id' };
    default:
      void source;
      void life;
      throw new Error(`startAt ${startAt.kind} is not there yet`);
  }
}
