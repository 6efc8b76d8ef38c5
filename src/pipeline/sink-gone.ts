/** The destination is gone for good: the route ends. */
export class SinkGone extends Error {
  override readonly name = 'SinkGone';
}
