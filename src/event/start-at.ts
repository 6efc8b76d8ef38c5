import type { Cursor } from './event.ts';

/** Where a sink without a checkpoint starts. */
export type StartAt =
  | { readonly kind: 'beginning' }
  | { readonly kind: 'now' }
  /** At this event, itself included. */
  | { readonly kind: 'id'; readonly id: Cursor }
  /** At the first event created at or after it; milliseconds since the epoch. */
  | { readonly kind: 'time'; readonly timeMs: number };
