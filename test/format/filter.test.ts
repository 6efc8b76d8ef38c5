import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actionFilter } from '../../src/format/filter.ts';
import { glob } from '../../src/lib/glob.ts';

/** Tries every split, the slow and plain way. */
function oracle(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern.startsWith('*')) return oracle(pattern.slice(1), text) || (text !== '' && oracle(pattern, text.slice(1)));
  return text[0] === pattern[0] && oracle(pattern.slice(1), text.slice(1));
}

const word = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 8 });

describe('globs', () => {
  it('match as the plain definition says', () => {
    fc.assert(
      fc.property(word('ab.*'), word('ab.'), (pattern, text) => {
        expect(glob(pattern)(text)).toBe(oracle(pattern, text));
      }),
      { numRuns: 5_000 },
    );
  });

  it('match dots, nothing, and only themselves', () => {
    expect(glob('user.*')('user.role.update')).toBe(true);
    expect(glob('user.*')('user.')).toBe(true);
    expect(glob('user.*')('user')).toBe(false);
    expect(glob('*.read')('a.b.read')).toBe(true);
    expect(glob('a*a')('a')).toBe(false);
    expect(glob('user?')('users')).toBe(false);
    expect(glob('(a+)+$')('aaaa')).toBe(false);
    expect(glob('User')('user')).toBe(false);
  });

  it('stay linear on input that makes a backtracking matcher exponential', () => {
    const matches = glob(`${'*a'.repeat(2_000)}*b`);
    expect(matches('a'.repeat(100_000))).toBe(false);
  });
});

describe('the action filter', () => {
  it('delivers every event if it is empty', () => {
    expect(actionFilter({})('anything')).toBe(true);
    expect(actionFilter({})('')).toBe(true);
  });

  it('delivers what is included and not excluded', () => {
    const passes = actionFilter({ include: ['user.*', 'login*'], exclude: ['*.read'] });
    expect(['user.create', 'login_failed', 'user.read', 'project.create'].filter(passes)).toEqual([
      'user.create',
      'login_failed',
    ]);
  });

  it('lets nothing pass an empty list of inclusions', () => {
    expect(actionFilter({ include: [] })('user.create')).toBe(false);
  });
});
