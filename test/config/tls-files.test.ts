import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { load, problemsOf, withSource } from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';
import { testPair } from '../support/test-pair.ts';

const { file } = scratch();
const pair = file('pair.pem', testPair);
const garbage = file('garbage.pem', 'garbage');
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const other = file('other.key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
const encrypted = file(
  'encrypted.key',
  privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString(),
);
const of = (tls: string) => problemsOf(load(withSource(`tls: { ${tls} }`)));

describe('the files of a tls block', () => {
  it('may be PEM', () => {
    expect(of(`caFile: ${pair}, certFile: ${pair}, keyFile: ${pair}`)).toEqual([]);
  });

  it.each([
    [`caFile: ${garbage}`, 'source.tls.caFile: the file holds no certificate in PEM'],
    [`caFile: ${other}`, 'source.tls.caFile: the file holds no certificate in PEM'],
    [`certFile: ${garbage}, keyFile: ${pair}`, 'source.tls.certFile: the file holds no certificate in PEM'],
    [`certFile: ${pair}, keyFile: ${garbage}`, 'source.tls.keyFile: the file holds no private key in PEM'],
    [`certFile: ${pair}, keyFile: ${encrypted}`, 'source.tls.keyFile: the file holds no private key in PEM'],
    [`certFile: ${pair}, keyFile: ${other}`, 'source.tls.keyFile: the key is not that of the certificate'],
  ])('are a problem of the configuration when they hold something else: %s', (tls, problem) => {
    expect(of(tls)).toEqual([expect.stringContaining(problem)]);
  });
});
