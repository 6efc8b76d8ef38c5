import leven from 'leven';

export interface Suggestion {
  readonly name: string;
  /** Spelled so similarly that no other name can be meant. */
  readonly isClose: boolean;
}

/** The name in `known` that is spelled most like `given`, ignoring case; undefined if `known` is empty. */
export function didYouMean(given: string, known: Iterable<string>): Suggestion | undefined {
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    const distance = leven(given.toLowerCase(), name.toLowerCase());
    if (best === undefined || distance < best.distance) best = { name, distance };
  }
  return best && { name: best.name, isClose: best.distance <= 3 && best.distance < best.name.length / 2 };
}
