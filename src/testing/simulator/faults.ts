import { didYouMean } from '../../lib/did-you-mean.ts';
import { printable } from '../../lib/printable.ts';

/** What can go wrong at the audit-log endpoint, each with what the caller sees. */
export const faultKinds = {
  '401': 'the key is refused',
  '402': 'the plan lacks the feature',
  '403': 'the key owner is suspended',
  '404': 'no such page',
  '408': 'the server gave up waiting',
  '429': 'too many requests, with Retry-After in seconds',
  '429-date': 'too many requests, with Retry-After as a date',
  '429-bare': 'too many requests, without Retry-After',
  '500': 'an error of the server',
  '502': 'a proxy without a server',
  '503': 'a proxy that sheds load',
  '504': 'a proxy that gave up waiting',
  reset: 'the connection is reset before the answer',
  'reset-body': 'the connection is reset in the middle of the body',
  'reset-after': 'the connection is reset after the body',
  truncated: 'a whole answer whose JSON is cut off',
  'truncated-gzip': 'a whole answer whose gzip stream is cut off',
  slow: 'a body that takes a minute and does not end',
  html: 'a login page with status 200',
  mislabelled: 'a good page that is called text/html',
  'no-events': 'a JSON object without events',
  redirect: 'a redirect to a login page',
  empty: 'a page without events whose after is 0',
} as const;

export type FaultKind = keyof typeof faultKinds;

export interface Fault {
  readonly kind: FaultKind;
  /** How many of the requests meet it, 0 to 1. */
  readonly share: number;
  /** How often at most; default: without end. */
  readonly times?: number;
}

/** Why a fault can't be understood, as one printable line. */
export interface FaultProblem {
  readonly problem: string;
}

/** Refusals are states, all else is weather. */
const lasting: readonly FaultKind[] = ['401', '402', '403', '404'];

/** Reads `KIND` or `KIND:SHARE`; without a share 1 for 401 to 404 and 0.1 for the others. */
export function parseFault(text: string): Fault | FaultProblem {
  const [name = '', shareText, ...rest] = text.split(':');
  if (!isKind(name)) {
    const near = didYouMean(name, Object.keys(faultKinds))?.name;
    return { problem: `no fault is called "${printable(name, 40)}"; did you mean ${near}?` };
  }
  if (shareText === undefined) return { kind: name, share: lasting.includes(name) ? 1 : 0.1 };
  const share = /^(\d+|\d*\.\d+)$/.test(shareText) ? Number(shareText) : Number.NaN;
  if (rest.length > 0 || !(share >= 0 && share <= 1))
    return { problem: `the share of a fault lies between 0 and 1, as in ${name}:0.05` };
  return { kind: name, share };
}

function isKind(name: string): name is FaultKind {
  return Object.hasOwn(faultKinds, name);
}

/** The status that a fault is answered with; 0 if there is no answer. */
export function statusOf(kind: FaultKind): number {
  if (kind === 'reset') return 0;
  return kind === 'redirect' ? 302 : Number(/^\d+/.exec(kind)?.[0] ?? 200);
}

/** Decides which request meets which fault. */
export interface FaultPlan {
  /** The fault that the next request meets; the first that comes up wins. */
  next(): FaultKind | undefined;
  set(faults: readonly Fault[]): void;
}

/** `random`: at least 0 and below 1, called once per fault and request, so that a seed reproduces the same faults. */
export function faultPlan(faults: readonly Fault[], random: () => number): FaultPlan {
  let planned = faults.map((fault) => ({ ...fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
  return {
    next() {
      const hit = planned.filter((fault) => random() < fault.share).find((fault) => fault.left > 0);
      if (hit !== undefined) hit.left -= 1;
      return hit?.kind;
    },
    set(next) {
      planned = next.map((fault) => ({ ...fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
    },
  };
}
