import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { between } from '../../bench/docs.ts';
import { quantile } from '../../bench/figures.ts';
import { judge } from '../../bench/judgement.ts';
import { plot } from '../../bench/plot/plot.ts';
import { ticksTo } from '../../bench/plot/svg.ts';
import type { Result } from '../../bench/result.ts';

const figures = { events: 10, eventsPerMovingCpuSecond: 150_000, eventsPerCpuSecond: 90_000, peakMiB: 100 };
const outcome = { group: 'import', rows: [], seconds: 1 } as const;
const result: Result = {
  at: '2026-11-23T10:00:00.000Z',
  machine: { cpu: 'a', cores: 2, system: 's', node: '26', v8: '14', load: [0], loadAfter: [1] },
  settings: { events: 10, rounds: 1 } as Result['settings'],
  seconds: 1,
  scenarios: {
    tcp: { ...outcome, figures: { program: figures, baseline: figures } },
    'peers-tcp': { ...outcome, figures: { forwarder: figures, 'a <peer> & "co"': figures } },
    sinks: { ...outcome, figures: { 1: { ...figures, sinks: 1 }, 16: { ...figures, sinks: 16 } } },
  },
};

describe('what the bench says', () => {
  it('calls a target met at its bound, and else tells by how much it was missed', () => {
    const at = (value: number, sign: '≥' | '≤' | '<') => judge({ what: 'it', value, bound: [sign, 100] }).verdict;
    expect([at(100, '≥'), at(100, '≤'), at(99.9, '<')]).toEqual(['met', 'met', 'met']);
    expect([at(80, '≥'), at(125, '≤'), at(100, '<')]).toEqual(['missed by 20 %', 'missed by 25 %', 'missed by <1 %']);
    expect(judge({ what: 'it', value: Number.NaN, bound: ['≥', 1] }).met).toBe(false);
  });

  it('takes quantiles from the values themselves', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1), quantile([7], 0.5)]).toEqual([
      50, 99, 100, 7,
    ]);
  });

  it('replaces what stands between markers and nothing else', () => {
    const text = 'a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n';
    const once = between(text, 'x', 'new');
    expect(once).toBe('a\n<!-- bench:x -->\n\nnew\n\n<!-- /bench:x -->\nb\n');
    expect(between(once, 'x', 'new')).toBe(once);
    expect(() => between(text, 'y', 'new')).toThrow('bench:y');
  });

  it('keeps the markers in docs/performance.md that it writes between', () => {
    const docs = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8');
    for (const name of ['machine', 'targets', 'figures'])
      expect(between(docs, name, 'figures here')).toContain('figures here');
  });

  it('draws well-formed SVG with axes, units and colours for a dark page', () => {
    const svg = plot(result);
    const open: string[] = [];
    for (const [, close, name = '', self] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
      if (close === '/') expect(open.pop()).toBe(name);
      else if (self !== '/') open.push(name);
    }
    expect(open).toEqual([]);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg).toContain('a &lt;peer&gt; &amp; &quot;co&quot;');
    for (const shown of ['prefers-color-scheme: dark', 'events per CPU second', 'peak memory, MiB', '>sinks<'])
      expect(svg).toContain(shown);
  });

  it('gives an axis round steps that reach its greatest value', () => {
    for (const most of [0.3, 1, 7, 99, 120, 123_456]) {
      const ticks = ticksTo(most);
      expect(ticks[0]).toBe(0);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(most * (1 - 1e-9));
      expect(ticks.length).toBeLessThanOrEqual(7);
    }
  });
});
