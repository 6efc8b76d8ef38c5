import { chmodSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { load, withSink } from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';
import { testPair } from '../support/test-pair.ts';

const { file } = scratch();

describe('warnings', () => {
  it('name each file with secrets that others can read', () => {
    const open = [file('open-key', 'k', 0o644), file('open-token', 't', 0o604), file('open.pem', testPair, 0o644)];
    const hec = ['type: splunk-hec', 'url: https://a', `tokenFile: ${open[1]}`];
    const text = withSink(...hec, `tls: { certFile: ${open[2]}, keyFile: ${open[2]} }`);
    const path = file('open.yaml', text.replace(/apiKey:.*/, `apiKeyFile: ${open[0]}`), 0o644);
    const loaded = loadConfig({ file: path, env: {} });
    expect(loaded).toMatchObject({
      ok: true,
      warnings: expect.toSatisfy((found: string[]) => {
        const expected = [path, ...open].map((name) => `${name} is readable by every user of this machine: chmod o-r`);
        return JSON.stringify(found.toSorted()) === JSON.stringify(expected.toSorted());
      }),
    });
    for (const name of [path, ...open]) chmodSync(name, 0o640);
    expect(loadConfig({ file: path, env: {} })).toMatchObject({ ok: true, warnings: [] });
  });

  it('name each transport that others can read or change', () => {
    const hec = ['type: splunk-hec', 'url: http://b.example.com', 'token: t', 'allowPlainHttp: true'];
    const syslog = '  - { name: b, type: syslog, address: "tls://a:1", tls: { insecureSkipVerify: true } }\n';
    const text = (withSink(...hec) + syslog).replace('source:', 'source:\n  tls: { insecureSkipVerify: true }');
    expect(load(text)).toMatchObject({
      ok: true,
      warnings: [
        expect.stringMatching(/^source: insecureSkipVerify/),
        expect.stringMatching(/^sink b: insecureSkipVerify/),
        expect.stringMatching(/^sink splunk-hec: http:/),
      ],
    });
    const loopback = hec.map((line) => line.replace('b.example.com', '127.0.0.1:8088'));
    expect(load(withSink(...loopback))).toMatchObject({ ok: true, warnings: [] });
  });
});
