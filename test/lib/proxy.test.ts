import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { httpClient } from '../../src/lib/http.ts';
import { proxyFor } from '../../src/lib/proxy.ts';
import { Secret } from '../../src/lib/secret.ts';
import { load, loadEnvironment, problemsOf, withRoot } from '../support/configuration.ts';

const url = (text: string) => new URL(text);
const target = 'https://acme.eu1.qasphere.com';
const proxy = { HTTPS_PROXY: 'http://proxy:3128' };
const alive = new AbortController().signal;

describe('HTTPS_PROXY', () => {
  it.each([
    ['http://proxy:3128', 'http://proxy:3128/'],
    ['proxy:3128', 'http://proxy:3128/'],
    ['user:p%40ss@proxy:3128', 'http://user:p%40ss@proxy:3128/'],
    ['https://proxy', 'https://proxy/'],
    [' http://proxy:3128 ', 'http://proxy:3128/'],
    ['[::1]:3128', 'http://[::1]:3128/'],
  ])('%s is used as %s', (text, used) => {
    expect(proxyFor(url(target), undefined, { HTTPS_PROXY: text })).toBe(used);
    expect(load(withRoot(), { QASPHERE_API_KEY: 'k', HTTPS_PROXY: text })).toMatchObject({ ok: true, warnings: [] });
  });

  it.each([
    ['"http://proxy:3128"', /HTTPS_PROXY: must not be in quotes/],
    ["'http://proxy:3128'", /HTTPS_PROXY: must not be in quotes/],
    ['socks5://proxy:1080', /HTTPS_PROXY: SOCKS proxies are not supported/],
    ['socks5h://u:c4n4ry@proxy:1080', /HTTPS_PROXY: SOCKS proxies are not supported/],
    ['ftp://proxy', /HTTPS_PROXY: write http:\/\/host:port/],
    ['c4n4ry', /HTTPS_PROXY: write http:\/\/host:port/],
    ['http://u:c4n4ry@', /HTTPS_PROXY: write http:\/\/host:port/],
    ['http://u:c4n4ry%zz@proxy:3128', /HTTPS_PROXY: a percent sign in the user name or password/],
    ['http://c4n4ry%:p@proxy:3128', /HTTPS_PROXY: a percent sign in the user name or password/],
  ])('%s is a problem of the configuration, which does not show the value', (text, message) => {
    for (const name of ['HTTPS_PROXY', 'https_proxy']) {
      const env = { QASPHERE_URL: target, QASPHERE_API_KEY: 'k', [name]: text };
      for (const loaded of [load(withRoot(), env), loadEnvironment(env)]) {
        const [problem = '', ...others] = problemsOf(loaded);
        expect(problem.replace(name, 'HTTPS_PROXY')).toMatch(message);
        expect(problem).not.toContain('c4n4ry');
        expect(others).toEqual([]);
      }
    }
    expect(load(withRoot(), { QASPHERE_API_KEY: 'k', HTTPS_PROXY: text, NO_PROXY: '*' }).ok).toBe(true);
  });

  it('in small letters is used if the one in capitals is unset or empty', () => {
    const lower = { https_proxy: 'http://lower:1' };
    expect(proxyFor(url(target), undefined, lower)).toBe('http://lower:1/');
    expect(proxyFor(url(target), undefined, { HTTPS_PROXY: '', ...lower })).toBe('http://lower:1/');
    expect(proxyFor(url(target), undefined, { ...proxy, ...lower })).toBe('http://proxy:3128/');
    expect(proxyFor(url(target), undefined, { ...proxy, NO_PROXY: '', no_proxy: 'qasphere.com' })).toBeUndefined();
  });

  it('applies to https alone, and a configured proxy to everything', () => {
    expect(proxyFor(url('http://127.0.0.1:1'), undefined, proxy)).toBeUndefined();
    const configured = new Secret('http://own:1');
    expect(proxyFor(url('http://127.0.0.1:1'), configured, { ...proxy, NO_PROXY: '*' })).toBe('http://own:1/');
  });

  it('receives the CONNECT request for every target that NO_PROXY does not name', async () => {
    const asked: string[] = [];
    const server = createServer().on('connect', (request, socket) => {
      asked.push(String(request.url));
      socket.on('error', () => {}).end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const env = {
      HTTPS_PROXY: '',
      https_proxy: `127.0.0.1:${(server.address() as AddressInfo).port}`,
      NO_PROXY: 'localhost 10.0.0.0/8',
    };
    try {
      using http = httpClient({ timeoutMs: 5_000, maxBodyBytes: 100, userAgent: 'test', env });
      for (const host of ['splunk.invalid:8088', 'localhost:1', 'acme.invalid'])
        await http.request({ method: 'GET', url: `https://${host}/`, headers: {} }, alive);
      expect(asked).toEqual(['splunk.invalid:8088', 'acme.invalid:443']);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describe('NO_PROXY', () => {
  const isDirect = (to: string, NO_PROXY: string) => proxyFor(url(to), undefined, { ...proxy, NO_PROXY }) === undefined;

  it.each([
    ['https://example.com', 'example.com'],
    ['https://a.b.example.com', 'example.com'],
    ['https://example.com', '.example.com'],
    ['https://a.example.com', '.example.com'],
    ['https://a.example.com', '*.example.com'],
    ['https://A.Example.com', 'EXAMPLE.COM'],
    ['https://example.com.', 'example.com'],
    ['https://example.com', 'example.com:443'],
    ['https://example.com:8088', 'a,example.com:8088'],
    ['https://10.1.2.3', '10.0.0.0/8'],
    ['https://10.1.2.3', '10.1.2.3'],
    ['https://10.1.2.3:8088', '10.1.2.3:8088'],
    ['https://[fd00::1]', 'fd00::/8'],
    ['https://[fd00::1]', 'fd00:0::1'],
    ['https://[fd00::1]:8088', '[fd00::1]:8088'],
    ['https://c.com', 'a.com, b.com , c.com'],
    ['https://c.com', 'a.com b.com\tc.com'],
    ['https://anything', '*'],
    ['https://anything', 'a, *'],
    ['https://localhost', 'localhost,127.0.0.1,::1'],
  ])('%s is reached directly with %j', (to, list) => {
    expect(isDirect(to, list)).toBe(true);
  });

  it.each([
    ['https://notexample.com', 'example.com'],
    ['https://example.com.evil.net', 'example.com'],
    ['https://example.com', 'example.com:8443'],
    ['https://example.com', 'a.example.com'],
    ['https://11.1.2.3', '10.0.0.0/8'],
    ['https://10.1.2.3', '2.3'],
    ['https://[fe00::1]', 'fd00::/8'],
    ['https://example.com', '10.0.0.0/8'],
    ['https://example.com', ''],
    ['https://example.com', ' , '],
    ['https://10.1.2.3', '10.0.0.0/99'],
  ])('%s is reached through the proxy with %j', (to, list) => {
    expect(isDirect(to, list)).toBe(false);
  });

  it('that can not be understood is warned about, entry by entry', () => {
    const env = { QASPHERE_API_KEY: 'k', ...proxy, NO_PROXY: 'good.com,10.0.0.0/99 192.168.*' };
    expect(load(withRoot(), env)).toMatchObject({
      ok: true,
      warnings: [
        expect.stringMatching(/^NO_PROXY: 10\.0\.0\.0\/99 has no effect/),
        expect.stringMatching(/^NO_PROXY: 192\.168\.\* has no effect/),
      ],
    });
  });
});
