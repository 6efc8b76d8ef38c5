import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newKey, signingKey, verifyingKey } from '../../src/evidence/keys.ts';
import {
  lineHash,
  parseCompact,
  parseRanges,
  parseSeal,
  printCompact,
  printRanges,
  signedText,
} from '../../src/evidence/seal.ts';
import { parseUnsealed, printUnsealed, type UnsealedRun } from '../../src/evidence/unsealed.ts';
import { ChainBuilder } from '../support/chains.ts';

const { privatePem, publicPem, id } = newKey();
const key = signingKey(privatePem);
const [line = ''] = new ChainBuilder({ key }).seal([{ id: 1 }, { id: 2 }]).lines;

describe('a seal', () => {
  it('fits its JSON Schema, as do those of the test vectors', () => {
    const schema = JSON.parse(readFileSync('config/evidence/seal.schema.json', 'utf8')) as object;
    const matches = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
    const vectors = readdirSync('config/evidence/vectors').filter((name) => !name.includes('truncated'));
    const lines = vectors.flatMap((name) =>
      readFileSync(`config/evidence/vectors/${name}/seals.ndjson`, 'utf8').trimEnd().split('\n'),
    );
    expect(lines.length).toBeGreaterThan(50);
    for (const one of [line, ...lines]) {
      matches(JSON.parse(one));
      expect(matches.errors).toBeNull();
    }
  });

  it('is read as it was written', () => {
    const parsed = parseSeal(line);
    expect(parsed).toMatchObject({ kind: 'seal', line });
    expect(lineHash(line)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('carries a signature that its key verifies, and no other key', () => {
    const parsed = parseSeal(line);
    if (parsed.kind !== 'seal') throw new Error(parsed.detail);
    const { sig } = parsed.seal;
    expect(parsed.seal.key).toBe(id);
    expect(verifyingKey(publicPem).verifies(signedText(parsed.seal), sig ?? '')).toBe(true);
    expect(verifyingKey(newKey().publicPem).verifies(signedText(parsed.seal), sig ?? '')).toBe(false);
    expect(verifyingKey(publicPem).verifies(`${signedText(parsed.seal)} `, sig ?? '')).toBe(false);
  });

  it('is damaged if a member is missing or of another kind, whichever it is', () => {
    const value = JSON.parse(line) as Record<string, unknown>;
    for (const name of Object.keys(value)) {
      const { [name]: _, ...rest } = value;
      if (!['first', 'last', 'prev', 'seq', 'tree'].includes(name))
        expect(parseSeal(JSON.stringify(rest)), name).toMatchObject({ kind: 'damaged' });
      expect(parseSeal(JSON.stringify({ ...value, [name]: [] })), name).toMatchObject({ kind: 'damaged' });
    }
  });

  it('is damaged if it is cut off anywhere, and foreign if it never was one', () => {
    for (let length = 20; length < line.length; length += 7)
      expect(parseSeal(line.slice(0, length)).kind, String(length)).toBe('damaged');
    for (const text of ['', 'x', '{}', '[]', 'null', '{"id":1}']) expect(parseSeal(text).kind).toBe('foreign');
  });

  it('never makes the parser throw', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseSeal(text)));
    fc.assert(fc.property(fc.json(), (text) => void parseSeal(text)));
  });
});

describe('ranges of ids', () => {
  const ranges = fc
    .uniqueArray(fc.bigInt(1n, 10_000n), { minLength: 0, maxLength: 40 })
    .map((ids) => ids.sort((a, b) => (a < b ? -1 : 1)))
    .map((ids) =>
      Array.from({ length: Math.floor(ids.length / 2) }, (_, at) => [ids[2 * at], ids[2 * at + 1]] as [bigint, bigint]),
    );

  it('are read as they were written', () => {
    fc.assert(
      fc.property(ranges, (some) => {
        expect(parseRanges(printRanges(some))).toEqual(some);
      }),
    );
  });

  it('are shorter in a checkpoint, and the same', () => {
    fc.assert(
      fc.property(ranges, fc.bigInt(0n, 2n ** 62n), (some, base) => {
        const moved = some.map(([from, to]): [bigint, bigint] => [from + base, to + base]);
        expect(parseCompact(printCompact(moved, base), base)).toEqual(moved);
      }),
    );
    expect(
      printCompact(
        [
          [101n, 101n],
          [103n, 120n],
        ],
        100n,
      ),
    ).toBe('1,2-h');
    expect(() => parseCompact('1,x y', 0n)).toThrow(SyntaxError);
  });

  it.each(['2-1', '1,1', '1-3,3', '3,1', ',', '1,', '-', 'x', '1 ', '01-'])('refuse %s', (text) => {
    expect(parseRanges(text)).toBeUndefined();
  });
});

describe('unsealed events', () => {
  const hashOf = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  const run = fc
    .record({
      ids: fc.uniqueArray(fc.bigInt(1n, 2n ** 63n), { minLength: 1, maxLength: 20 }),
      status: fc.constantFrom('sent' as const, 'delivered' as const, 'filtered' as const, 'deadLettered' as const),
      hashes: fc.array(hashOf, { minLength: 40, maxLength: 40 }),
      isVerbatim: fc.boolean(),
      times: fc.array(fc.option(fc.integer({ min: 0, max: 4e12 }), { nil: undefined }), {
        minLength: 20,
        maxLength: 20,
      }),
      resent: fc.option(fc.constantFrom('restart', 'sent again'), { nil: undefined }),
    })
    .map(({ ids, hashes, isVerbatim, times, ...rest }): UnsealedRun => {
      const { length } = ids;
      return {
        ...rest,
        ids: ids.sort((a, b) => (a < b ? -1 : 1)),
        sources: hashes.slice(0, length),
        records: isVerbatim ? undefined : hashes.slice(20, 20 + length),
        times: times.slice(0, length),
      };
    });

  it('are read as they were written', () => {
    fc.assert(
      fc.property(run, (one) => {
        expect(parseUnsealed(printUnsealed(one))).toEqual(one);
      }),
    );
  });

  it('of a damaged line are none', () => {
    for (const text of ['', '{}', 'null', '{"ids":"1-2","status":"sent","source":"","times":[]}', '[1]'])
      expect(parseUnsealed(text)).toBeUndefined();
    const whole = '{"ids":"1","status":"lost","source":"","times":[1]}';
    expect(parseUnsealed(whole)).toBeUndefined();
  });
});
