import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { Health } from '../../src/telemetry/health.ts';
import { History } from '../../src/telemetry/history.ts';
import { status } from '../../src/telemetry/status.ts';
import { statusPage } from '../../src/telemetry/status-page.ts';
import { HandClock } from '../support/hand-clock.ts';
import { samples } from '../support/telemetry-events.ts';

let clock: HandClock;
let health: Health;
let history: History;
const page = () => statusPage(status(health), (sink) => history.of(sink));

beforeEach(() => {
  clock = new HandClock();
  health = new Health(clock.read);
  history = new History(health);
  health.handle(samples['daemon.start']);
  health.handle(samples['source.page']);
});

describe('the status page', () => {
  it('runs and loads nothing: its policy allows only its own style sheet', () => {
    const { body, policy } = page();
    const style = /<style>([\s\S]*?)<\/style>/.exec(body)?.[1] ?? '';
    expect(policy).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`);
    expect(policy).toContain("default-src 'none'");
    expect(body).not.toMatch(/<script|<link|<img|\son\w+=|\sstyle=|https?:|url\(/i);
    expect(body).toContain('<meta http-equiv="refresh" content="10">');
  });

  it('shows text from outside as text', () => {
    health.handle({ ...samples['pipeline.retry'], detail: `</dd><script>alert("1")</script><img src='x'>&amp;` });
    health.handle({ ...samples['source.retry'], detail: '<b>no</b>' });
    const { body } = page();
    expect(body).not.toMatch(/<script|<img|<b>/);
    expect(body).toContain('&#60;b&#62;no&#60;/b&#62;');
    expect(body).toContain('&#38;amp;');
  });

  it('states in words what it shows by colours and lines', () => {
    health.handle(samples['pipeline.parked']);
    for (let minute = 0; minute < 20; minute++) {
      history.take();
      clock.pass(60_000);
    }
    const { body } = page();
    expect(body).toContain('not ready');
    expect(body).toContain('>parked<');
    expect(body).toMatch(/aria-label="Lag: now .* in the last hour"/);
    expect(body).toContain('<html lang="en">');
  });

  it('reports a wrong local clock', () => {
    health.handle({ ...samples['source.page'], serverAheadMs: -3_600_000 });
    expect(page().body).toContain('<span class="state warn">local clock wrong<');
  });

  it('plots one hour', () => {
    for (let i = 0; i < 300; i++) {
      history.take();
      clock.pass(30_000);
    }
    const points = history.of('splunk');
    expect(points).toHaveLength(120);
    expect(points[0]?.ageSeconds).toBe(3_570);
  });
});
