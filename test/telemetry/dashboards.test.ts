import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { metricTable } from '../../src/telemetry/metric-table.ts';
import { scratch } from '../support/scratch.ts';

const promtool = '/usr/bin/promtool';
const can = existsSync(promtool);
const skipped = can ? '' : ' (skipped: Debian’s package prometheus is absent)';
const { file } = scratch();

const rulesFile = 'config/prometheus/qasphere-siem-forwarder.rules.yaml';
const rules = parse(readFileSync(rulesFile, 'utf8')) as { groups: { rules: { alert: string; expr: string }[] }[] };
const alerts = rules.groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(readFileSync('config/grafana/qasphere-siem-forwarder.json', 'utf8')) as {
  panels: { id: number; title: string; gridPos: object; targets: { expr: string }[] }[];
};
const panels = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

const known = new Set([
  ...Object.keys(metricTable),
  'process_resident_memory_bytes',
  'process_cpu_seconds_total',
  'up',
]);
/** Names of metrics in an expression; a histogram's series lose their ending. */
const metricsIn = (expr: string) =>
  [...expr.matchAll(/\b((?:forwarder|process)_[a-z_]+|up)\b(?=[{[ =)<>-]|$)/g)].map(([, name = '']) =>
    name.replace(/_(bucket|sum|count)$/, ''),
  );

function run(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(promtool, args, { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

describe('the alert rules', () => {
  it('use existing metrics', () => {
    for (const { expr } of alerts) {
      expect(metricsIn(expr).length).toBeGreaterThan(0);
      for (const name of metricsIn(expr)) expect(known).toContain(name);
    }
  });

  it.skipIf(!can)(`are valid, and fire exactly when they should${skipped}`, () => {
    expect(run('check', 'rules', rulesFile)).toMatchObject({ status: 0 });
    const tested = run('test', 'rules', 'config/prometheus/qasphere-siem-forwarder.test.yaml');
    expect(tested.output).toContain('SUCCESS');
    expect(tested.status).toBe(0);
  });

  it('are each tested', () => {
    const tests = readFileSync('config/prometheus/qasphere-siem-forwarder.test.yaml', 'utf8');
    for (const { alert } of alerts) expect(tests).toMatch(new RegExp(`alertname: ${alert}\\n`));
  });
});

describe('the dashboard', () => {
  it('uses existing metrics, and every one of the forwarder', () => {
    const used = new Set(panels.flatMap(metricsIn));
    for (const name of used) expect(known).toContain(name);
    for (const name of Object.keys(metricTable)) expect([...used]).toContain(name);
  });

  it.skipIf(!can)(`has valid expressions${skipped}`, () => {
    const plain = panels.map((expr) => expr.replaceAll('$__rate_interval', '5m'));
    const text = JSON.stringify({
      groups: [{ name: 'x', rules: plain.map((expr, i) => ({ record: `r:${i}`, expr })) }],
    });
    expect(run('check', 'rules', file('panels.yaml', text))).toMatchObject({ status: 0 });
  });

  it('places no two panels at one position', () => {
    const places = dashboard.panels.map(({ gridPos }) => JSON.stringify(gridPos));
    expect(new Set(places).size).toBe(places.length);
  });
});
