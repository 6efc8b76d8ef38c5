import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { relpReader, syslogReader } from '../../bench/servers/stream-collector.ts';

/** The stream in pieces that end anywhere. */
const pieces = (stream: Buffer, cuts: readonly number[]) => {
  const ends = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...ends].map((from, index) => stream.subarray(from, ends[index] ?? stream.length));
};
const cuts = fc.array(fc.nat(), { maxLength: 30 });
const messages = fc.array(fc.stringMatching(/^<1>1 [ -~]{0,40}$/), { minLength: 1, maxLength: 20 });

describe('the collectors that count for the bench', () => {
  it.each([
    ['octet counting', (one: string) => `${one.length} ${one}`],
    ['newlines', (one: string) => `${one}\n`],
  ])('count each message with %s, wherever the stream is cut', (_, frame) => {
    fc.assert(
      fc.property(messages, cuts, (sent, where) => {
        const read = syslogReader();
        const all = pieces(Buffer.from(sent.map(frame).join('')), where).filter((piece) => piece.length > 0);
        expect(all.reduce((sum, piece) => sum + read(piece).records, 0)).toBe(sent.length);
      }),
    );
  });

  it('count and answer each RELP frame, wherever the stream is cut', () => {
    fc.assert(
      fc.property(messages, cuts, (sent, where) => {
        const read = relpReader();
        const frames = sent.map((one, index) => `${index + 2} syslog ${one.length} ${one}\n`);
        const stream = Buffer.from(`1 open 14 relp_version=0\n${frames.join('')}${sent.length + 2} close 0\n`);
        const answers = pieces(stream, where).map(read);
        expect(answers.reduce((sum, { records }) => sum + records, 0)).toBe(sent.length);
        const said = answers.map(({ answer }) => answer ?? '').join('');
        expect(said).toMatch(/^1 rsp \d+ 200 OK\nrelp_version=0\n/);
        expect([...said.matchAll(/^(\d+) rsp 6 200 OK$/gm)].map(([, id]) => Number(id))).toEqual(
          sent.map((_, index) => index + 2),
        );
        expect(said.endsWith(`${sent.length + 2} rsp 0\n0 serverclose 0\n`)).toBe(true);
      }),
    );
  });
});
