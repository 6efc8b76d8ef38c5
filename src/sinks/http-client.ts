import { type HttpClient, type HttpOptions, httpClient } from '../lib/http.ts';
import type { TlsOptions } from '../lib/options/tls.ts';
import { tlsMaterial } from '../lib/tls.ts';
import type { SinkDeps } from './sink.ts';

/** The options that every sink has which sends HTTP requests. */
export interface ConnectionOptions {
  /** Longest time for one request, milliseconds. */
  readonly timeout: number;
  readonly tls?: TlsOptions | undefined;
  readonly proxy?: HttpOptions['proxy'];
}

/**
 * The HTTP client of a sink. An answer that is longer than `maxAnswerBytes` is cut off.
 * @throws the error of the file system or OpenSSL for a file of the tls block
 */
export function sinkHttpClient(options: ConnectionOptions, deps: SinkDeps, maxAnswerBytes: number): HttpClient {
  const { name, version, env, emit } = deps;
  return httpClient({
    timeoutMs: options.timeout,
    maxBodyBytes: maxAnswerBytes,
    largeBody: 'cut',
    userAgent: `qasphere-siem-forwarder/${version}`,
    tls: tlsMaterial(options.tls),
    proxy: options.proxy,
    env,
    onCertificate: (endsAtMs) => emit({ event: 'tls.certificate', peer: `sink/${name}`, whose: 'server', endsAtMs }),
  });
}
