import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { startProgram } from '../support/program.ts';

const vectors = 'config/evidence/vectors';
const run = promisify(execFile);

interface Expected {
  readonly about: string;
  readonly exit: number;
  readonly integrity: string;
  readonly completeness: string;
  readonly args?: Readonly<Record<string, string>>;
}

async function hasPython(): Promise<boolean> {
  return await run('python3', ['-c', 'import cryptography']).then(
    () => true,
    () => false,
  );
}

const can = await hasPython();
const skipped = can ? '' : ' (skipped: Debian’s packages python3 and python3-cryptography are absent)';

const cases = readdirSync(vectors).map((name): [string, Expected] => [
  name,
  JSON.parse(readFileSync(join(vectors, name, 'expected.json'), 'utf8')) as Expected,
]);

function argsOf(name: string, { args = {} }: Expected): string[] {
  const file = (flag: string, base: string) => {
    const path = join(vectors, name, base);
    return existsSync(path) ? [flag, path] : [];
  };
  return [
    ...file('--seals', 'seals.ndjson'),
    ...file('--records', 'records.ndjson'),
    ...file('--public-key', 'public.pem'),
    ...Object.entries(args).flatMap(([flag, value]) => [`--${flag}`, value]),
  ];
}

const verdictsIn = (output: string) => ({
  integrity: /^integrity: (.*)$/m.exec(output)?.[1],
  completeness: /^completeness: (.*)$/m.exec(output)?.[1],
});

describe('the test vectors', () => {
  it('hold chains of three kinds, an amendment and a change of the key, each with a broken variant', () => {
    const names = cases.map(([name]) => name);
    for (const whole of ['signed', 'unsigned', 'amendment', 'key-change']) {
      expect(names).toContain(whole);
      expect(names.some((name) => name.startsWith(`${whole}-`))).toBe(true);
    }
  });

  it.each(cases)('%s: the forwarder comes to the expected verdict', async (name, expected) => {
    const { exit, integrity, completeness } = expected;
    const program = startProgram(['evidence', 'verify', ...argsOf(name, expected)]);
    expect(await program.ended, program.stderr()).toBe(exit);
    expect(verdictsIn(program.stdout())).toEqual({ integrity, completeness });
  });

  it.skipIf(!can).each(cases)(`%s: the verifier in Python agrees${skipped}`, async (name, expected) => {
    const { exit, integrity, completeness } = expected;
    const args = ['config/evidence/verify_seals.py', ...argsOf(name, expected)];
    const { code, stdout } = await run('python3', args).then(
      (ended) => ({ code: 0, stdout: ended.stdout }),
      (error: { code: number; stdout: string }) => error,
    );
    expect({ code, ...verdictsIn(stdout) }).toEqual({ code: exit, integrity, completeness });
  });
});
