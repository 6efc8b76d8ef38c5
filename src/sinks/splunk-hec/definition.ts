import { isLoopback } from '../../lib/options/values.ts';
import type { SinkDefinition } from '../definition.ts';
import { checkSplunkHec } from './check.ts';
import { FailoverHec } from './failover.ts';
import { type SplunkHecOptions, splunkHecOptions } from './options.ts';
import { openSplunkHec } from './sink.ts';

export const splunkHec = {
  type: 'splunk-hec',
  options: splunkHecOptions.meta({ title: 'Splunk HTTP Event Collector' }),
  environment: {
    name: 'splunk',
    variables: {
      SPLUNK_HEC_URL: 'url',
      SPLUNK_HEC_TOKEN: 'token',
      SPLUNK_HEC_TOKEN_FILE: 'tokenFile',
      SPLUNK_HEC_INDEX: 'index',
      SPLUNK_HEC_ALLOW_PLAIN_HTTP: 'allowPlainHttp',
    },
    credential: { name: 'splunk-hec-token', key: 'token' },
  },
  terms: { probe: 'token', address: 'url', credentials: 'token (or tokenFile), tls and proxy' },
  // `auto` is decided by the token: an acceptance may mean no more than an answer 2xx.
  proof: ({ acknowledgement }) => (acknowledgement === true ? 'hec-acknowledged' : 'hec-accepted'),
  destination: ({ url, otherUrls }) => [url, ...otherUrls].join(', '),
  warnings: ({ url, otherUrls }) =>
    [url, ...otherUrls].some((one) => one.startsWith('http:') && !isLoopback(new URL(one).hostname))
      ? ['http:// sends the token and every record in clear']
      : [],
  open: (options, deps) =>
    options.otherUrls.length === 0 ? openSplunkHec(options, deps) : new FailoverHec(options, deps),
  check: checkSplunkHec,
} satisfies SinkDefinition<SplunkHecOptions>;
