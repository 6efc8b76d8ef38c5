import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { Authority, certificatesMissing } from '../support/authority.ts';

const run = promisify(execFile);
const source = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

/** In a process of its own: the outcome of a request, and whether the bundled authorities are still trusted. */
const script = (port: number) => `
  import { X509Certificate } from 'node:crypto';
  import { getCACertificates } from 'node:tls';
  import { httpClient } from '${source('lib/http.ts')}';
  import { setNetworkDefaults } from '${source('lib/network-defaults.ts')}';
  setNetworkDefaults({ tls: true });
  using http = httpClient({ timeoutMs: 10_000, maxBodyBytes: 1000, userAgent: 'test' });
  const request = { method: 'GET', url: 'https://localhost:${port}/', headers: {} };
  const outcome = await http.request(request, new AbortController().signal);
  const printOf = (certificate) => new X509Certificate(certificate).fingerprint256;
  const trusted = new Set(getCACertificates('default').map(printOf));
  const bundled = getCACertificates('bundled').map(printOf).every((print) => trusted.has(print));
  console.log(JSON.stringify({ result: outcome.status ?? outcome.code, bundled }));
`;

it.skipIf(certificatesMissing !== undefined)(
  'the authorities of the system are trusted beside the bundled ones (skipped without openssl)',
  async () => {
    using authority = new Authority();
    const leaf = authority.leaf();
    const tls = { cert: readFileSync(leaf.certFile), key: readFileSync(leaf.keyFile) };
    const server = createServer(tls, (_, response) => response.end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ask = async (SSL_CERT_FILE: string) => {
      const args = ['--input-type=module', '-e', script(port)];
      const { stdout } = await run(process.execPath, args, { env: { ...process.env, SSL_CERT_FILE } });
      return JSON.parse(stdout);
    };
    try {
      expect(await ask(authority.caFile)).toEqual({ result: 200, bundled: true });
      expect(await ask('/dev/null')).toEqual({ result: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', bundled: true });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  },
);
